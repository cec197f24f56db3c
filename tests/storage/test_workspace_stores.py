"""Where the contents of workspaces are kept: every store keeps the same promises."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from flask import Flask
from moto.server import ThreadedMotoServer
from sqlalchemy import update

from portal_actions_plugin.errors import ConfigurationError, ConflictError, InternalError, RemoteError
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.guards import offers
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.workspaces.stores.bucket import BucketStore
from portal_actions_plugin.runs.workspaces.stores.folder import FolderStore
from portal_actions_plugin.runs.workspaces.stores.opening import store
from portal_actions_plugin.runs.workspaces.stores.postgresql import PIECE
from portal_actions_plugin.runs.workspaces.stores.store import RUNS, TEMPLATES, Shelf
from portal_actions_plugin.settings.workspaces import BucketPlace, DatabasePlace, FolderPlace, read_place
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import transaction
from portal_actions_plugin.storage.sql import now_plus
from portal_actions_plugin.upkeep import kept_workspaces
from tests.support.portal import PEOPLE
from tests.support.run_helpers import start, work_off
from tests.support.workspaces import fail, start_steps, write

DAY = 24 * 3600


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of something that speaks as S3 does, with a bucket in it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "a test's")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        address = f"http://{host}:{port}"
        boto3.client("s3", endpoint_url=address).create_bucket(Bucket="workspaces")
        yield address
    server.stop()


@pytest.fixture(params=["folder", "bucket", "database"])
def shelves(request: pytest.FixtureRequest, make_app: Callable[..., Flask], template_folder: Path) -> Iterator[Any]:
    """A store of each kind, and the shelves of two runs that there are."""
    url, extra = "sqlite_url", {}
    if request.param == "bucket":
        s3 = request.getfixturevalue("s3")
        extra = {"PORTAL_ACTIONS_WORKSPACES": f"s3://workspaces/some/{uuid.uuid4().hex}?endpoint={s3}&region=us-east-1"}
    if request.param == "database":
        url = "postgres_url"
    app = make_app(PORTAL_ACTIONS_DATABASE_URL=request.getfixturevalue(url), **extra)
    with app.app_context():
        step = {"action": "debug.log@v1", "input": {"message": "hello"}}
        runs = [start(template_folder, step).id for _ in range(2)]
        yield store(), [Shelf(RUNS, run_id) for run_id in runs]


NAMES = [f"{number:064x}" for number in range(1_100)]


def test_contents_are_given_back_as_they_were(shelves):
    kept, (mine, other) = shelves
    large = bytes(range(256)) * (PIECE * 2 // 256 + 1)
    contents = {NAMES[0]: b"", NAMES[1]: b"\x00\xff", NAMES[2]: large}
    kept.put(mine, contents.items())
    kept.put(mine, contents.items())
    assert dict(kept.get(mine, list(contents))) == contents
    assert kept.sizes(mine) == {name: len(content) for name, content in contents.items()}
    assert kept.sizes(other) == {}
    assert set(kept.owners(RUNS)) == {mine.owner}


def test_what_is_not_there_is_said_and_not_deleted_twice(shelves):
    kept, (mine, _) = shelves
    kept.put(mine, [(NAMES[0], b"1"), (NAMES[1], b"2")])
    for _ in range(2):
        kept.delete(mine, [NAMES[0]])
    assert kept.lacks(mine, NAMES[:3]) == {NAMES[0], NAMES[2]}
    assert kept.lacks(Shelf(RUNS, str(uuid.uuid4())), NAMES[:3]) == {*NAMES[:3]}
    with pytest.raises(InternalError, match="not in its store any more"):
        list(kept.get(mine, [NAMES[1], NAMES[0]]))
    for _ in range(2):
        kept.clear(mine)
    assert (kept.sizes(mine), list(kept.owners(RUNS))) == ({}, [])


def test_a_shelf_goes_alone_however_much_is_on_it(shelves):
    kept, (mine, other) = shelves
    kept.put(mine, [(name, b"x") for name in NAMES])
    kept.put(other, [(NAMES[0], b"y")])
    assert len(dict(kept.get(mine, NAMES))) == len(NAMES)
    kept.clear(mine)
    assert kept.sizes(mine) == {}
    assert dict(kept.get(other, [NAMES[0]])) == {NAMES[0]: b"y"}


def test_files_of_templates_are_kept_beside_those_of_runs(shelves):
    kept, (mine, _) = shelves
    key = NAMES[7]
    files = Shelf(TEMPLATES, key)
    content = b"z" * (PIECE + 1)
    kept.put(files, [(key, content)])
    kept.clear(mine)
    assert dict(kept.get(files, [key])) == {key: content}
    assert list(kept.owners(TEMPLATES)) == [key]
    assert (kept.lacks(files, [key]), kept.lacks(Shelf(TEMPLATES, NAMES[8]), [NAMES[8]])) == (set(), {NAMES[8]})
    kept.clear(files)
    assert list(kept.owners(TEMPLATES)) == []


def test_runs_in_a_bucket_are_kept_for_those_that_resume_them_and_what_is_lost_there_is_said(
    make_app, sqlite_url, s3, template_folder
):
    place = f"s3://workspaces/{uuid.uuid4().hex}?endpoint={s3}&region=us-east-1"
    with make_app(PORTAL_ACTIONS_DATABASE_URL=sqlite_url, PORTAL_ACTIONS_WORKSPACES=place).app_context():
        first = start_steps(template_folder, ("writes", write(a="1")), ("reads", fail))
        work_off()
        second = service.resume_template_run(PEOPLE["ada"], first).run.id
        work_off()
        whole = tables.template_runs.c
        with transaction("test") as tx:
            tx.execute(update(tables.template_runs).where(whole.id == first).values(finished_at=now_plus(-9 * DAY)))
        assert (kept_workspaces.tidy_thoroughly().workspaces, [*store().owners(RUNS)]) == (0, [first])
        store().clear(Shelf(RUNS, first))
        assert offers.resumable(PEOPLE["ada"], queries.template_run(second)), "a page does not ask the bucket"
        with pytest.raises(ConflictError, match=r"the bucket workspaces at http.* lacks 1 of its 1 files"):
            service.resume_template_run(PEOPLE["ada"], second)


# -- what is wrong -----------------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RemoteError, match="file/workspaces") as refused:
        FolderStore(tmp_path / "file" / "workspaces").put(Shelf(RUNS, "a"), [(NAMES[0], b"1")])
    assert "PORTAL_ACTIONS_WORKSPACES" in refused.value.hint


@pytest.mark.parametrize(
    ("place", "error"),
    [
        (BucketPlace("none-of-this-name"), ConfigurationError),
        (BucketPlace("workspaces", endpoint="http://127.0.0.1:9"), RemoteError),
    ],
)
def test_a_bucket_that_is_not_there_is_named(s3, place, error, monkeypatch):
    monkeypatch.setattr("portal_actions_plugin.runs.workspaces.stores.bucket.TRIES", 1)
    found = BucketStore(BucketPlace(place.bucket, "", place.endpoint or s3, "us-east-1"), "a portal")
    with pytest.raises(error, match=place.bucket):
        found.sizes(Shelf(RUNS, "a"))


def test_portals_that_share_a_bucket_see_nothing_of_each_other(s3):
    place = BucketPlace("workspaces", "shared", s3, "us-east-1")
    one, other = BucketStore(place, "one"), BucketStore(place, "other")
    one.put(Shelf(RUNS, "a"), [(NAMES[0], b"1")])
    assert (list(one.owners(RUNS)), list(other.owners(RUNS))) == (["a"], [])


# -- the setting -------------------------------------------------------------------------------------------------------

SQLITE, POSTGRES = "sqlite:////srv/portal/actions.db", "postgresql+psycopg://db/portal"


@pytest.mark.parametrize(
    ("value", "database", "expected"),
    [
        (None, SQLITE, FolderPlace(Path("/srv/portal/actions.db-workspaces"), is_beside_database=True)),
        (None, POSTGRES, DatabasePlace()),
        ("database", POSTGRES, DatabasePlace()),
        ("/srv/shared", POSTGRES, FolderPlace(Path("/srv/shared"))),
        ("s3://bucket", SQLITE, BucketPlace("bucket")),
        ("s3://bucket/a/b/", SQLITE, BucketPlace("bucket", "a/b")),
        (
            "s3://bucket/a?endpoint=https://s3.example.com&region=eu-1",
            POSTGRES,
            BucketPlace("bucket", "a", "https://s3.example.com", "eu-1"),
        ),
    ],
)
def test_the_setting_says_where_contents_are_kept(value, database, expected):
    assert read_place(value, database) == expected


@pytest.mark.parametrize(
    ("value", "database", "said"),
    [
        ("database", SQLITE, "one writer"),
        ("relative/folder", SQLITE, "a folder such as"),
        (7, POSTGRES, "a folder such as"),
        ("s3://", POSTGRES, "bucket"),
        ("s3://bucket?endpoint=s3.example.com", POSTGRES, "https://"),
        ("s3://bucket?key=AKIA", POSTGRES, "environment"),
        ("s3://AKIA:hunter2@bucket", POSTGRES, "environment"),
    ],
)
def test_a_setting_that_cannot_be_used_says_what_it_takes(value, database, said):
    with pytest.raises(ConfigurationError, match=said) as refused:
        read_place(value, database)
    assert "PORTAL_ACTIONS_WORKSPACES" in refused.value.message
    assert "hunter2" not in refused.value.message
