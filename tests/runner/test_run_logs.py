"""What a process says while it is at a run: masked, and marked with the run, for the plugin and third parties alike."""

# ruff: noqa: T201 handlers print

from __future__ import annotations

import copy
import json
import logging
import pickle
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal_actions_plugin.runner.attempt import run_logs
from portal_actions_plugin.runner.attempt.run_logs import speaking, worker_formatter
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.runs.secrets.token_shapes import MASK
from tests.support.canary import Everything
from tests.support.people import Person
from tests.support.run_helpers import register, run_one_off, work_off
from tests.support.waiting import wait_until
from tests.support.workers import Workers

SECRET = "secret-4711"
MARKS = {"run_id": "r1", "action": "test.it@v1", "attempt": 2, "requested_by": "user:ada", "step_id": None}
vendor = logging.getLogger("vendor.http")


@pytest.fixture(autouse=True)
def _all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def said_by(record: logging.LogRecord) -> str:
    return json.dumps(record.__dict__, default=repr) + Everything().format(record)


def test_every_record_carries_the_run_and_none_carries_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    class Shown:
        def __repr__(self) -> str:
            return f"<{SECRET}>"

    with speaking(Redactor([SECRET]), MARKS):
        vendor.info("sent %s to %r", SECRET, Shown(), extra={"header": {"auth": [SECRET]}, "shown": Shown(), "n": 3})
        try:
            raise KeyError(SECRET)
        except KeyError:
            vendor.exception("failed", stack_info=True)
        thread = threading.Thread(target=vendor.warning, args=("in a thread: %(x)s", {"x": SECRET}))
        thread.start()
        thread.join()
    assert [record.getMessage() for record in caplog.records] == [
        f"sent {MASK} to <{MASK}>",
        "failed",
        f"in a thread: {MASK}",
    ]
    assert all(vars(record).items() >= MARKS.items() for record in caplog.records)
    assert [vars(caplog.records[0])[name] for name in ("header", "shown", "n")] == [{"auth": [MASK]}, f"<{MASK}>", 3]
    assert caplog.records[1].exc_info is None
    assert f"KeyError: '{MASK}'" in logging.Formatter().format(caplog.records[1])
    assert [record for record in caplog.records if SECRET in said_by(record)] == []


def test_a_thread_or_logger_that_is_named_after_a_secret_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger(f"vendor.{SECRET}")
    with speaking(Redactor([SECRET]), MARKS):
        thread = threading.Thread(target=logger.warning, args=("x",), name=f"fetch {SECRET}")
        thread.start()
        thread.join()
    assert (caplog.records[0].name, caplog.records[0].threadName) == (f"vendor.{MASK}", f"fetch {MASK}")
    assert SECRET not in said_by(caplog.records[0])


def test_a_call_that_brings_fields_of_the_same_name_is_not_refused(caplog: pytest.LogCaptureFixture) -> None:
    with speaking(Redactor(), MARKS):
        vendor.info("x", extra={"action": "PUT", "attempt": 9})
        with pytest.raises(KeyError, match="message"):
            vendor.info("x", extra={"message": "as ever"})
    assert (
        vars(caplog.records[0])["action"],
        vars(caplog.records[0])["attempt"],
        vars(caplog.records[0])["run_id"],
    ) == ("PUT", 9, "r1")


def test_a_call_whose_arguments_do_not_fit_is_a_line_still(caplog: pytest.LogCaptureFixture) -> None:
    with speaking(Redactor([SECRET]), MARKS):
        vendor.info("%s and %s", SECRET)
    assert caplog.records[0].getMessage() == "%s and %s (its arguments do not fit)"


def test_a_record_can_be_copied_and_sent_to_another_process(caplog: pytest.LogCaptureFixture) -> None:
    with speaking(Redactor([SECRET]), MARKS):
        vendor.info("x %s", SECRET, extra={"k": "v"})
    for other in (
        copy.copy(caplog.records[0]),
        copy.deepcopy(caplog.records[0]),
        pickle.loads(pickle.dumps(caplog.records[0])),
    ):
        assert vars(other) == vars(caplog.records[0])


FORGED = "x\n2026-01-01 00:00:00,000 INFO 7 portal_actions_plugin.audit: template_run.start accepted\r\x1b[2J\x9b\u202e"


@pytest.mark.fault("B12")
def test_nothing_that_a_run_says_begins_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with speaking(Redactor(), {**MARKS, "requested_by": FORGED}):
        vendor.info("said %s to %r", FORGED, 3)
        vendor.warning(FORGED)
        try:
            raise KeyError(FORGED) from ValueError(FORGED)
        except KeyError:
            vendor.exception("failed")
    vendor.info("outside of a run %s", FORGED)
    written = [worker_formatter().format(record) for record in caplog.records]
    lines = "\n".join(written).splitlines()
    assert len([line for line in lines if line.startswith("20")]) == len(written)
    assert not any(mark in "".join(written) for mark in "\r\x1b\x9b\u202e")
    assert r"said x\n2026" in written[0]
    assert "\n" not in vars(caplog.records[0])["requested_by"]
    # Whatever a host's own format is, it gets lines that are whole.
    assert "\n" not in "".join(record.getMessage() for record in caplog.records[:2])


@pytest.mark.fault("B12")
def test_no_message_of_this_package_has_another_line_in_it(
    make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    from portal_actions_plugin.log_records import Lines

    make_app()
    caplog.clear()
    ours = logging.getLogger("portal_actions_plugin.anything")
    ours.warning("said %s %d", FORGED, 3)
    ours.warning("by name %(x)s", {"x": FORGED})
    ours.warning("the traceback\n%s", Lines("Traceback\n  File x\n2026 forged"))
    assert [record.getMessage().count("\n") for record in caplog.records[:3]] == [0, 0, 3]
    assert "\n    2026 forged" in caplog.records[2].getMessage()
    assert caplog.records[0].msg == "said %s %d"
    other = logging.getLogger("portal_actions_plugin_of_somebody_else")
    other.warning("left alone %s", FORGED)
    assert FORGED in caplog.records[-1].getMessage()
    try:
        raise ValueError(FORGED)
    except ValueError:
        ours.exception("failed")
    shown = logging.Formatter().format(caplog.records[-1])
    assert [line for line in shown.splitlines()[1:] if not line.startswith("    ")] == [
        "Traceback (most recent call last):"
    ]
    assert caplog.records[-1].exc_info is not None


@pytest.mark.fault("F35")
def test_a_message_keeps_its_template_also_where_its_values_are_masked(caplog: pytest.LogCaptureFixture) -> None:
    with speaking(Redactor([SECRET]), MARKS):
        vendor.info("sent %s to %s", SECRET, "the bank")
        vendor.info("%(n)d of %(what)s", {"n": 3, "what": SECRET})
        vendor.info("sent it to secret-%d", 4711)
        vendor.info(f"sent {SECRET} to %s", "the bank")
    assert [(record.msg, record.args) for record in caplog.records] == [
        ("sent %s to %s", (MASK, "the bank")),
        ("%(n)d of %(what)s", {"n": 3, "what": MASK}),
        (f"sent it to {MASK}", ()),
        (f"sent {MASK} to the bank", ()),
    ]


@pytest.mark.fault("F35")
def test_an_exception_is_kept_where_no_secret_is_known_and_nothing_looks_like_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for redactor, said in ((Redactor(), "plain"), (Redactor(), f"ghp_{'a1B2' * 9}"), (Redactor([SECRET]), "plain")):
        with speaking(redactor, MARKS):
            try:
                raise KeyError(said)
            except KeyError:
                vendor.exception("failed")
    assert [record.exc_info is not None for record in caplog.records] == [True, False, False]
    assert all("KeyError" in logging.Formatter().format(record) for record in caplog.records)


class Collector(logging.Handler):
    """Does what Sentry's handler does: an event of the template, its values, the exception and the attributes."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.events: list[dict[str, Any]] = []
        self._usual = set(vars(logging.makeLogRecord({})))

    def emit(self, record: logging.LogRecord) -> None:
        extra = {name: value for name, value in vars(record).items() if name not in self._usual}
        has_exception = bool(record.exc_info and record.exc_info[0])
        self.events.append(
            {
                "message": record.msg,
                "params": record.args,
                "exception": record.exc_info[1] if has_exception and record.exc_info else None,
                "extra": extra,
            }
        )


@pytest.mark.fault("F35")
def test_a_bug_in_a_handler_is_one_issue_for_who_collects_errors(make_app: Callable[..., Flask]) -> None:
    def handler(ctx: Any, value: Any = None) -> None:
        if value:
            ctx.redact(SECRET)
        raise LookupError(f"no {value} for {SECRET}")

    def not_json(ctx: Any, value: Any = None) -> dict[str, object]:
        return {"x": object()}

    collector = Collector()
    logging.getLogger().addHandler(collector)
    try:
        with make_app().app_context():
            register(fails=handler, odd=not_json)
            ids = [run_one_off("test.fails@v1", value) for value in ({}, {}, {"value": "x"})]
            ids.append(run_one_off("test.odd@v1"))
            work_off()
    finally:
        logging.getLogger().removeHandler(collector)
    plain, again, with_secret, odd = collector.events
    assert plain["message"] == again["message"] == with_secret["message"]
    assert plain["message"] == "the handler of test.fails@v1 failed unexpectedly"
    assert odd["message"] == "the handler of test.odd@v1 failed unexpectedly"
    assert [event["extra"]["run_id"] for event in collector.events] == ids
    assert [event["extra"]["error_type"] for event in (plain, with_secret)] == ["LookupError", "LookupError"]
    assert isinstance(plain["exception"], LookupError)
    assert plain["exception"].__traceback__ is not None
    assert with_secret["exception"] is None
    assert f"LookupError: no x for {MASK}" in with_secret["extra"]["error_traceback"]
    assert SECRET not in repr(with_secret)


def test_afterwards_all_is_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    before = logging.getLogRecordFactory(), sys.stdout, sys.stderr
    with pytest.raises(ValueError, match="as is"), speaking(Redactor([SECRET]), MARKS):
        assert (logging.getLogRecordFactory(), sys.stdout, sys.stderr) != before
        raise ValueError("as is")
    assert (logging.getLogRecordFactory(), sys.stdout, sys.stderr) == before
    vendor.info(SECRET)
    assert caplog.records[0].getMessage() == SECRET
    assert not hasattr(caplog.records[0], "run_id")


def test_standard_output_is_masked_also_when_a_value_is_written_in_parts(capsys: pytest.CaptureFixture[str]) -> None:
    with speaking(Redactor([SECRET]), MARKS):
        print("a", SECRET)
        sys.stdout.write("b secret-")
        sys.stdout.write("4711\nc ")
        sys.stderr.buffer.write(f"d {SECRET}\n".encode())
        sys.stderr.writelines(["e secret-4", "711\n"])
        print("f", SECRET, end="", flush=True)
        print(" g", end="")
        assert not sys.stdout.isatty()
    out, err = capsys.readouterr()
    assert (out, err) == (f"a {MASK}\nb {MASK}\nc f {MASK} g", f"d {MASK}\ne {MASK}\n")


def test_a_line_without_end_is_not_kept_for_ever(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_logs, "_LONGEST_LINE", 10)
    with speaking(Redactor(), MARKS):
        sys.stdout.write("x" * 11)
        assert capsys.readouterr().out == "x" * 11


def test_a_process_without_standard_output_can_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with speaking(Redactor(), MARKS):
        assert sys.stdout is None


def test_the_workers_own_format_shows_the_run_and_takes_records_without_one(caplog: pytest.LogCaptureFixture) -> None:
    vendor.info("before")
    with speaking(Redactor(), MARKS):
        vendor.info("within")
    before, within = [worker_formatter().format(record) for record in caplog.records]
    assert "run=- action=- attempt=- vendor.http: before" in before
    assert "run=r1 action=test.it@v1 attempt=2 vendor.http: within" in within


def test_what_a_handler_and_its_libraries_log_carries_the_attempt(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    def handler(ctx: Any, value: Any = None) -> None:
        ctx.redact(SECRET)
        ctx.log(f"by the handler {SECRET}")
        vendor.warning("by a library %s", SECRET)
        print(f"printed {SECRET}")

    register(speak=handler)
    run_id = run_one_off("test.speak@v1")
    work_off()
    said = {record.getMessage(): record for record in caplog.records}
    for message in (f"by the handler {MASK}", f"by a library {MASK}"):
        found = vars(said[message])
        assert (found["run_id"], found["action"], found["attempt"]) == (run_id, "test.speak@v1", 1)
        assert (found["requested_by"], found["template_run_id"], found["step_id"]) == (
            "user:ada@example.com",
            None,
            None,
        )
    assert [line.message for line in queries.log_lines(run_id)] == [f"by the handler {MASK}"]


def test_a_host_without_logging_sees_the_run_in_the_workers_lines(
    ada: Person, start_workers: Callable[..., Workers], tmp_path: Path
) -> None:
    workers = start_workers()
    started = ada.post("/api/v1/actions/debug.log@v1/runs", {"input": {"message": "hello there"}})
    path = started.headers["Location"]
    wait_until(lambda: ada.get(path).json["status"] == "success")
    workers.stop()
    run_id = path.rpartition("/")[2]
    lines = (tmp_path / "workers.log").read_text().splitlines()
    assert any(f"run={run_id} action=debug.log@v1 attempt=1" in line and "hello there" in line for line in lines)
    assert any("run=- action=- attempt=-" in line and "listens on" in line for line in lines)
