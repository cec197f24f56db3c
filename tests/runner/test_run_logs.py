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
