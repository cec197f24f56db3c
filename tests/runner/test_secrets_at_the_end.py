"""Whatever becomes of a run, its secrets are wiped when it is over; and keys may be changed while it waits."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from marshmallow import Schema, fields
from sqlalchemy import select, update

from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.errors import RemoteError, ValidationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner import recovery, sweeper
from portal_actions_plugin.runner.attempt import bounds
from portal_actions_plugin.runs import service
from portal_actions_plugin.runs.accept import Ask
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading, transaction
from portal_actions_plugin.storage.sql import now_plus
from tests.support.run_helpers import ADA, change_action, claim, perform, register, run_one_off, set_columns, work_off

SECRET = "secret-4711"
OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
TEMPLATE = """\
apiVersion: scaffolder.backstage.io/v1beta3
kind: Template
metadata: {name: sealed}
spec:
  owner: team:platform
  type: service
  parameters:
    required: [token]
    properties:
      token: {type: string, ui:field: Secret}
      name: {type: string, default: orders}
  steps:
    - id: take
      if: ${{ parameters.name != 'nothing' }}
      action: test.take@v1
      input: {token: "${{ secrets.token }}"}
  output:
    all: ${{ parameters | dump }}
"""


class Take(Schema):
    token = fields.String(required=True, load_only=True)
    name = fields.String()


@pytest.fixture
def got() -> list[str]:
    return []


@pytest.fixture
def portal(make_app: Callable[..., Flask], template_folder: Path, database_url: str, got: list[str]) -> Any:
    """Make portals with keys, on one database, whose action takes a secret."""
    (template_folder / "sealed.yaml").write_text(TEMPLATE)

    def make(*keys: str, **config: Any) -> Flask:
        app = make_app(PORTAL_ACTIONS_SECRET_KEYS=keys, PORTAL_ACTIONS_DATABASE_URL=database_url, **config)

        def take(ctx: Any, token: str, **_: Any) -> None:
            got.append(token)

        app.extensions["portal_actions"].registry.add(action("test.take@v1", title="T", input=Take)(take), "the tests")
        return app

    return make


@pytest.fixture
def app(portal: Callable[..., Flask]) -> Iterator[Flask]:
    app = portal(NEW)
    with app.app_context():
        yield app


def start(kind: str) -> str:
    """Start a run with a secret; the id of the action run that is to be worked on."""
    if kind == "one-off":
        return service.start_action_run(ADA, "test.take@v1", {"token": SECRET}).run.id
    service.start_template_run(ADA, "sealed", {"token": SECRET})
    return queries.action_runs(queries.RunFilter(), limit=1).items[0].id


def sealed() -> list[Any]:
    with reading() as db:
        return [
            row["secrets"]
            for table in (tables.action_runs, tables.template_runs)
            for row in db.rows(select(table.c.secrets))
        ]


def fails(_ctx: Any, **_: Any) -> None:
    raise RemoteError(f"no {SECRET}")


def cancel(run_id: str) -> None:
    run = queries.action_run(run_id)
    if run.template_run_id:
        service.cancel_template_run(ADA, run.template_run_id)
    else:
        service.cancel_action_run(ADA, run_id)


def begin(run_id: str) -> str:
    token = str(uuid.uuid4())
    if template_run := queries.action_run(run_id).template_run_id:
        with transaction("test") as tx:
            tx.execute(
                update(tables.template_runs).where(tables.template_runs.c.id == template_run).values(status="running")
            )
    assert claim(run_id, token)
    return token


def lapse(run_id: str) -> None:
    begin(run_id)
    set_columns(run_id, lease_expires_at=now_plus(-60), lapse_seen_at=now_plus(-60))
    sweeper.sweep()


def time_out(run_id: str) -> None:
    token = begin(run_id)
    set_columns(run_id, deadline_at=now_plus(-1))
    recovery.recover_process(token)


def with_handler(handler: Callable[..., Any]) -> Callable[[str], None]:
    def end(run_id: str) -> None:
        change_action("test.take@v1", handler=handler)
        perform(run_id)

    return end


def uninstalled(run_id: str) -> None:
    del extension().registry._actions["test.take@v1"]
    perform(run_id)


ENDS: dict[str, tuple[Callable[[str], Any], str]] = {
    "success": (perform, "success"),
    "failure": (with_handler(fails), "failed"),
    "a bug": (with_handler(lambda _ctx, **_: 1 / 0), "failed"),
    "canceled while queued": (cancel, "canceled"),
    "canceled while running": (lambda run_id: (begin(run_id), cancel(run_id)), "canceled"),
    "a worker that died": (lambda run_id: recovery.recover_process(begin(run_id)), "failed"),
    "a worker that was stopped": (lambda run_id: recovery.hand_back(begin(run_id)), "failed"),
    "a lease that lapsed": (lapse, "failed"),
    "a timeout": (time_out, "failed"),
    "an action that is gone": (uninstalled, "failed"),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", ["one-off", "template"])
def test_secrets_are_wiped_however_a_run_ends(app: Flask, kind: str, end: str) -> None:
    run_id = start(kind)
    assert any(sealed()), "nothing to wipe"
    make_it_end, status = ENDS[end]
    make_it_end(run_id)
    assert queries.action_run(run_id).status == status
    assert not any(sealed())


def test_secrets_stay_while_another_attempt_is_to_come(app: Flask, got: list[str]) -> None:
    run_id = start("one-off")
    change_action("test.take@v1", idempotent=True)
    recovery.recover_process(begin(run_id))
    assert any(sealed())
    work_off()
    assert (got, any(sealed())) == ([SECRET], False)


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["one-off", "template"])
def test_a_run_that_was_queued_with_an_old_key_runs_after_a_new_one_came(
    portal: Callable[..., Flask], got: list[str], kind: str
) -> None:
    with portal(OLD).app_context():
        start(kind)
    with portal(NEW, OLD).app_context():
        work_off()
    assert got == [SECRET]


@pytest.mark.parametrize("keys", [(NEW,), ()])
@pytest.mark.parametrize("kind", ["one-off", "template"])
def test_a_run_whose_key_is_gone_ends_and_says_what_to_do(
    portal: Callable[..., Flask], got: list[str], kind: str, keys: tuple[str, ...]
) -> None:
    with portal(OLD).app_context():
        run_id = start(kind)
    with portal(*keys).app_context():
        work_off()
        error = queries.action_run(run_id).error
        assert error
        assert error.code == "CONFIGURATION_ERROR"
        assert "Put it back at the end of the list" in error.hint
        assert not any(sealed())
    assert got == []


def test_without_a_secret_key_bodies_are_hashed_with_the_newest_key_for_secrets(portal: Callable[..., Flask]) -> None:
    def fingerprint(*keys: str) -> str:
        app = portal(*keys)
        app.secret_key = None
        with app.app_context():
            ask = Ask(idempotency_key=uuid.uuid4().hex)
            service.start_action_run(ADA, "test.take@v1", {"token": SECRET}, ask)
            with reading() as db:
                rows = db.rows(
                    select(tables.idempotency_keys).where(tables.idempotency_keys.c.key == ask.idempotency_key)
                )
            found: str = rows[0]["fingerprint"]
            return found

    assert fingerprint(NEW, OLD) == fingerprint(NEW) != fingerprint(OLD)


# -- starts ------------------------------------------------------------------------------------------------------------


def test_a_template_whose_steps_are_all_skipped_does_not_give_its_secrets_away(app: Flask) -> None:
    run = service.start_template_run(ADA, "sealed", {"token": SECRET, "name": "nothing"}).run
    assert run.status == "success"
    assert MASK in run.outputs["all"]
    assert SECRET not in str(run)


def test_what_would_be_stored_readable_cannot_be_given_as_a_secret(app: Flask) -> None:
    for refused in (
        lambda ask: service.start_action_run(ADA, "test.take@v1", {}, ask),
        lambda ask: service.start_template_run(ADA, "sealed", {}, ask),
    ):
        with pytest.raises(ValidationError) as error:
            refused(Ask(secrets={"token": SECRET, "name": "other-secret"}))
        assert error.value.fields == {"secrets": {"name": ["Is not a secret input."]}}


def test_a_token_in_a_readable_input_is_refused_and_in_a_secret_one_taken(app: Flask, got: list[str]) -> None:
    token = "ghp_" + "a1B2" * 9
    for refused in (
        lambda: service.start_action_run(ADA, "test.take@v1", {"token": SECRET, "name": token}),
        lambda: service.start_template_run(ADA, "sealed", {"token": SECRET, "name": token}),
    ):
        with pytest.raises(ValidationError) as error:
            refused()
        assert error.value.fields == {"name": ["Looks like a GitHub token: give it in a secret field."]}
    service.start_action_run(ADA, "test.take@v1", {"token": token, "name": "orders"})
    work_off()
    assert got == [token]


# -- checkpoints and bounds --------------------------------------------------------------------------------------------


def test_a_checkpoint_with_a_secret_is_sealed_and_masked_by_the_next_attempt(app: Flask) -> None:
    made: list[Any] = []

    def handler(ctx: Any, value: Any = None) -> dict[str, Any]:
        def make() -> dict[str, Any]:
            ctx.redact(SECRET)
            return {"url": f"https://x/?t={SECRET}", "id": 12}

        made.append(ctx.checkpoint("minted", make))
        ctx.checkpoint("plain", lambda: {"id": 12})
        if ctx.run.attempt == 1:
            raise RemoteError("again")
        return {"said": f"it is {SECRET} of 12", "id": 12}

    register(againSeal=handler)
    run_id = run_one_off("test.againSeal@v1")
    perform(run_id)
    set_columns(run_id, not_before=None)
    perform(run_id)
    assert made == [{"url": f"https://x/?t={SECRET}", "id": 12}] * 2
    assert queries.action_run(run_id).outputs == {"said": f"it is {MASK} of 12", "id": 12}
    with reading() as db:
        kept = {row["key"]: row["value"] for row in db.rows(select(tables.checkpoints))}
    assert kept["plain"] == {"value": {"id": 12}}
    assert list(kept["minted"]) == ["sealed"]
    assert SECRET not in str(kept)


def failed_with(handler: Callable[..., Any]) -> Any:
    register(bad=handler)
    run_id = run_one_off("test.bad@v1")
    work_off()
    run = queries.action_run(run_id)
    assert run.status == "failed"
    return run.error


def test_without_a_key_a_checkpoint_with_a_secret_is_an_error_that_says_so(portal: Callable[..., Flask]) -> None:
    def handler(ctx: Any, value: Any = None) -> None:
        ctx.redact(SECRET)
        ctx.checkpoint("minted", lambda: SECRET)

    with portal().app_context():
        error = failed_with(handler)
    assert (error.code, "no key to seal it" in error.message) == ("CONFIGURATION_ERROR", True)


def test_a_checkpoints_key_must_not_hold_a_secret(app: Flask) -> None:
    def handler(ctx: Any, value: Any = None) -> None:
        ctx.redact(SECRET)
        ctx.checkpoint(f"of {SECRET}", lambda: pytest.fail("it must not be done"))

    assert "holds a secret" in failed_with(handler).message


@pytest.mark.parametrize(
    ("value", "says"), [("x" * 300_000, "300002 bytes; 256000 are allowed"), (object(), "not JSON")]
)
def test_a_checkpoint_that_cannot_be_kept_is_refused(app: Flask, value: Any, says: str) -> None:
    assert says in failed_with(lambda ctx, value_=None, **_: ctx.checkpoint("big", lambda: value)).message


def test_too_many_checkpoints_are_refused_before_anything_is_done(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_CHECKPOINTS", 2)
    done: list[int] = []

    def handler(ctx: Any, value: Any = None) -> None:
        for number in range(3):
            ctx.checkpoint(str(number), lambda number=number: done.append(number))

    assert "a run keeps 2" in failed_with(handler).message
    assert done == [0, 1]


def test_what_is_too_long_is_cut_after_it_was_masked_and_says_so(app: Flask) -> None:
    def handler(ctx: Any, value: Any = None) -> None:
        ctx.redact(SECRET)
        for number in range(102):
            ctx.link(f"{number} " + "t" * 195 + SECRET, "https://x/" + "u" * 2_000)
        for number in range(103):
            ctx.warnings.append(f"{number} " + "w" * 993 + SECRET)
        raise RemoteError("m" * 3_995 + SECRET, hint="h" * 5_000)

    register(loud=handler)
    run_id = run_one_off("test.loud@v1")
    work_off()
    run = queries.action_run(run_id)
    assert len(run.links) == 100
    assert run.links[0].title == "0 " + "t" * 195 + MASK
    assert run.links[0].url == "https://x/" + "u" * 1_990 + bounds.CUT
    assert run.warnings[0] == "0 " + "w" * 993 + MASK
    assert run.warnings[100:] == (
        "2 more links are not kept: a run keeps 100.",
        "3 more warnings are not kept: a run keeps 100.",
    )
    assert run.error
    assert run.error.message == "m" * 3_995 + MASK
    assert run.error.hint == "h" * 4_000 + bounds.CUT


def test_a_long_unexpected_error_is_masked_before_it_is_cut(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    def handler(ctx: Any, value: Any = None) -> None:
        ctx.redact(SECRET)
        raise ValueError("v" * 440 + SECRET + "v" * 8_000)

    error = failed_with(handler)
    assert MASK in error.message
    assert error.message.endswith(bounds.CUT)
    logged = [record for record in caplog.records if "failed unexpectedly" in record.getMessage()]
    assert MASK in str(logged[0].exc_text)
    assert SECRET not in logging.Formatter().format(logged[0])
