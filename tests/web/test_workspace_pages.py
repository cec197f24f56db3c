"""The workspace of a run for people: what is in it, what of it is masked, and when it is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask

from portal_actions_plugin.blueprints.pages.run.workspace import amount
from portal_actions_plugin.cli import actions
from portal_actions_plugin.runs.workspaces import lifetime
from tests.support.people import Person, Visitor
from tests.support.portal import decide
from tests.support.run_helpers import work_off
from tests.support.workspaces import fail, start_steps, write

SECRET = "the secret of this run"
TOKEN = f"ghp_{'a1B2' * 9}"


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    app = make_app(PORTAL_ACTIONS_SECRET_KEYS=Fernet.generate_key().decode())
    with app.app_context():
        yield app


@pytest.fixture
def failed(app: Flask, template_folder: Path) -> Callable[..., str]:
    def run(*steps: Any, **kw: Any) -> str:
        run_id = start_steps(template_folder, *steps, ("reads", fail), **kw)
        work_off()
        return run_id

    return run


@pytest.fixture
def ada(app: Flask) -> Person:
    return Person(app.test_client(), "ada")


def api(run_id: str, path: str = "") -> str:
    return f"/api/v1/template-runs/{run_id}/workspace{path}"


def leak(ctx: Any, **_input: Any) -> None:
    secret = ctx.secret("token")
    ctx.workspace.path("config.ini").write_text(f"password={secret}\nuser=ada\n")
    ctx.workspace.path(f"of-{secret}.txt").write_text("nothing secret in it")
    ctx.workspace.path("image.bin").write_bytes(b"\xff\x00" + secret.encode())
    ctx.workspace.path("a-token.txt").write_text(f"token={TOKEN}")
    ctx.workspace.path("plain.html").write_text("<script>alert(1)</script>")


def test_a_listing_names_each_file_with_its_size(ada, failed):
    def link(ctx: Any, **_input: Any) -> None:
        write(**{"src__main.py": "print()", "b": "1"})(ctx)
        ctx.workspace.path("src/main.py").chmod(0o755)
        ctx.workspace.path("link").symlink_to("src/main.py")

    answer = ada.get(api(failed(("writes", link)))).json
    shown = [(one["path"], one["size"], one["executable"], one["link_to"]) for one in answer["data"]]
    assert shown == [("b", 1, False, None), ("link", 0, False, "src/main.py"), ("src/main.py", 7, True, None)]
    assert (answer["count"], answer["size"], answer["emptied_at"], answer["next_after"]) == (3, 8, None, None)


def test_a_long_listing_has_pages(ada, failed):
    run_id = failed(("writes", write(**{f"f{number:02}": "1" for number in range(25)})))
    names, after = [], 0
    while after is not None:
        answer = ada.get(api(run_id, f"?limit=10&after={after}")).json
        names.append([one["path"] for one in answer["data"]])
        after = answer["next_after"]
    assert [len(some) for some in names] == [10, 10, 5]
    assert [name for some in names for name in some] == [f"f{number:02}" for number in range(25)]


def test_secrets_are_masked_in_names_and_downloads_which_say_so_also_when_the_run_is_over(ada, failed):
    run_id = failed(("writes", leak), inputs={"token": SECRET})
    listing = ada.get(api(run_id))
    assert SECRET not in listing.text
    masked = {one["path"]: one["masked"] for one in listing.json["data"]}
    [named] = [path for path in masked if path.startswith("of-")]
    assert masked == {"config.ini": True, named: False, "image.bin": True, "a-token.txt": False, "plain.html": False}

    def download(path: str) -> tuple[str, str | None]:
        answer = ada.get(api(run_id, "/file"), query_string={"path": path})
        assert answer.status_code == 200, answer.text
        return answer.text, answer.headers.get("Portal-Actions-Masked")

    assert download("config.ini") == ("password=•••\nuser=ada\n", "yes")
    assert download("a-token.txt") == ("token=•••", "yes")
    assert download(named) == ("nothing secret in it", None)
    refused = ada.get(api(run_id, "/file"), query_string={"path": "image.bin"})
    assert (refused.status_code, refused.json["error_code"]) == (409, "CONFLICT")
    assert SECRET not in refused.text


def test_a_download_is_never_shown_by_a_browser(app, ada, failed):
    run_id = failed(("writes", write(**{'a"b;ü.html': "<script>alert(1)</script>"})))
    page = f"/templates/runs/{run_id}/workspace/file"
    for person, path in ((ada, api(run_id, "/file")), (Visitor(app, "ada"), page)):
        answer = person.get(path, query_string={"path": 'a"b;ü.html'})
        assert answer.text == "<script>alert(1)</script>"
        assert answer.mimetype == "application/octet-stream"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        disposition = answer.headers["Content-Disposition"]
        assert disposition == "attachment; filename=\"a_b__.html\"; filename*=UTF-8''a%22b%3B%C3%BC.html"


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "nothing", "src"])
def test_what_is_not_a_file_of_the_workspace_is_not_found(ada, failed, path):
    run_id = failed(("writes", write(src__a="1")))
    assert ada.get(api(run_id, "/file"), query_string={"path": path}).status_code == 404


def test_a_run_without_a_workspace_has_none_to_show(app, ada, failed):
    run_id = failed()
    assert ada.get(api(run_id)).status_code == 404
    assert not Visitor(app, "ada").see(f"/templates/runs/{run_id}").all("p", id="run-workspace")


def test_the_page_of_a_run_leads_to_its_files_and_says_when_they_are_gone(app, failed):
    run_id = failed(("writes", write(a="1", b="2")))
    ada = Visitor(app, "ada")
    assert "workspace with 2 files" in ada.see(f"/templates/runs/{run_id}").text
    listing = ada.see(f"/templates/runs/{run_id}/workspace").text
    assert "2 files, 2 bytes" in listing
    lifetime.empty(run_id)
    assert "is gone" in ada.see(f"/templates/runs/{run_id}").text
    assert "These files are gone" in ada.see(f"/templates/runs/{run_id}/workspace").text
    gone = ada.get(f"/templates/runs/{run_id}/workspace/file?path=a")
    assert gone.status_code == 409


def test_whom_the_host_hides_a_workspace_from_sees_nothing_of_it(app, ada, failed):
    run_id = failed(("writes", write(a="1")))
    decide(app, lambda _who, permission, target: permission != "workspace:read" or target is None)
    assert ada.get(api(run_id)).status_code == 404
    assert ada.get(api(run_id, "/file?path=a")).status_code == 404
    assert "workspace" not in Visitor(app, "ada").see(f"/templates/runs/{run_id}").text.lower()


def test_a_command_lists_files_and_gives_one(app, failed, tmp_path):
    run_id = failed(("writes", leak), inputs={"token": SECRET})
    ask = partial(app.test_cli_runner().invoke, actions)
    listed = ask(["workspace", run_id])
    assert "config.ini  (masked)" in listed.output
    given = ask(["workspace", run_id, "config.ini", "--output", str(tmp_path / "config.ini")])
    assert given.exit_code == 0, given.output
    assert "secrets in it are masked" in given.output
    assert (tmp_path / "config.ini").read_text() == "password=•••\nuser=ada\n"
    assert "user=ada" in ask(["workspace", run_id, "config.ini"]).output
    assert "There is no file nothing" in ask(["workspace", run_id, "nothing"]).output


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (3_400, "3.4 kB"),
        (48_000_000, "48 MB"),
        (5 * 10**9, "5.0 GB"),
    ],
)
def test_sizes_are_told_as_people_compare_them(size, words):
    assert amount(size) == words
