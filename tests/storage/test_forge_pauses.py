"""Pauses of forges: rows that every process keeps to, which only ever get longer, and which no database that is away stops."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, insert, select, update
from sqlalchemy.exc import OperationalError

from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.guards import forge_pauses
from portal_actions_plugin.runs.guards.forge_pauses import ForgePauses
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Row, transaction
from portal_actions_plugin.storage.sql import now_plus

KEY = "token:9f3c2a"
PAUSES = ForgePauses()


def rows() -> list[Row]:
    with transaction("test") as tx:
        return list(tx.rows(select(tables.forge_pauses).order_by(tables.forge_pauses.c.installation)))


def has_ended(seconds_ago: float) -> None:
    """Let every pause, and the turns after it, be over for so long."""
    over = now_plus(-seconds_ago)
    with transaction("test") as tx:
        tx.execute(update(tables.forge_pauses).values(until=over, next_at=over))


def pace() -> int | None:
    (row,) = rows()
    milliseconds: int | None = row["pace_ms"]
    return milliseconds


def test_a_pause_is_kept_to_by_who_has_not_set_it(app: Flask) -> None:
    assert PAUSES.wait("github", KEY) == 0
    assert PAUSES.begin("github", KEY, 40) == 40
    assert 0 < ForgePauses().wait("github", KEY) <= 40
    assert ForgePauses().wait("github", "token:another") == 0
    assert ForgePauses().wait("ghe", KEY) == 0


def test_a_pause_only_ever_gets_longer(app: Flask) -> None:
    PAUSES.begin("github", KEY, 1000)
    assert 900 < PAUSES.begin("github", KEY, 5) <= 1000
    assert 900 < PAUSES.wait("github", KEY) <= 1000
    assert PAUSES.begin("github", KEY, 2000) == 2000
    assert PAUSES.wait("github", KEY) > 1900


def test_a_pause_ends_by_itself(app: Flask) -> None:
    PAUSES.begin("github", KEY, 1000)
    has_ended(0.5)
    assert PAUSES.wait("github", KEY) == 0
    assert PAUSES.begin("github", KEY, 7) == 7


def test_nothing_of_the_credential_is_kept(app: Flask) -> None:
    PAUSES.begin("github", f"{KEY}/an-owner-whose-name-is-{'long' * 40}", 7)
    (row,) = rows()
    assert "token" not in str(row)
    assert len(row["credential"]) == 64


def test_a_limit_that_names_no_time_makes_each_pause_twice_as_long(app: Flask) -> None:
    lengths = []
    for _ in range(10):
        lengths.append(PAUSES.begin("github", KEY, None))
        has_ended(0.5)
    assert lengths == [60, 120, 240, 480, 960, 1920, 3840, 7680, 7680, 7680]


def test_those_who_are_refused_at_once_double_nothing(app: Flask) -> None:
    PAUSES.begin("github", KEY, None)
    assert {PAUSES.begin("github", KEY, None) > 60 for _ in range(5)} == {False}


def test_a_refusal_long_after_the_last_pause_is_the_first_again(app: Flask) -> None:
    for _ in range(3):
        PAUSES.begin("github", KEY, None)
        has_ended(0.5)
    has_ended(241)
    assert PAUSES.begin("github", KEY, None) == 60


def test_a_time_that_is_named_ends_the_doubling(app: Flask) -> None:
    PAUSES.begin("github", KEY, None)
    has_ended(0.5)
    PAUSES.begin("github", KEY, 3)
    has_ended(0.5)
    assert PAUSES.begin("github", KEY, None) == 60


@pytest.mark.parametrize(("named", "answer"), [(float("nan"), 60), (float("inf"), 60), (-5, 0), (0, 0)])
def test_a_time_that_makes_no_sense_harms_nobody(app: Flask, named: float, answer: float) -> None:
    assert PAUSES.begin("github", KEY, named) == answer


def test_an_absurd_time_is_told_and_kept_for_a_day(app: Flask) -> None:
    assert PAUSES.begin("github", KEY, 10**9) == 10**9
    assert 86_000 < PAUSES.wait("github", KEY) <= 86_400


def test_pauses_that_are_long_over_are_forgotten_when_one_begins(app: Flask) -> None:
    with transaction("test") as tx:
        for ago in (forge_pauses.FORGET_SECONDS + 60, forge_pauses.FORGET_SECONDS - 60):
            row: dict[str, Any] = {"installation": f"ended {ago} s ago", "credential": "0" * 64, "refusals": 1}
            tx.execute(insert(tables.forge_pauses).values(until=now_plus(-ago), **row))
    PAUSES.begin("github", KEY, 7)
    assert [row["installation"] for row in rows()] == [f"ended {86_400.0 - 60} s ago", "github"]


def test_many_that_are_refused_at_once_leave_the_longest_pause(app: Flask) -> None:
    def refuse(seconds: float) -> None:
        with app.app_context():
            PAUSES.begin("github", KEY, seconds)

    threads = [threading.Thread(target=refuse, args=(seconds,)) for seconds in (100, 900, 300, 700, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 800 < PAUSES.wait("github", KEY) <= 900


# -- the pace after a refusal -------------------------------------------------------------------------------------------


def test_after_a_refusal_calls_take_turns(app: Flask) -> None:
    PAUSES.begin("github", KEY, 2)
    turns = [rows()[0]["next_at"]]
    for _ in range(5):
        assert PAUSES.wait("github", KEY) <= forge_pauses.LONGEST_TURN_SECONDS
        turns.append(rows()[0]["next_at"])
    for before, after in pairwise(turns):
        assert (after - before).total_seconds() > 0.25 * 0.9, "nobody has the turn of another"
    assert PAUSES.wait("github", "token:another") == 0


def test_turns_are_taken_once_however_many_ask_at_once(app: Flask) -> None:
    PAUSES.begin("github", KEY, 1)

    def ask() -> None:
        with app.app_context():
            PAUSES.wait("github", KEY)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (row,) = rows()
    assert (row["next_at"] - row["until"]).total_seconds() > 8 * 0.25 * 0.9


def test_a_turn_that_is_too_far_away_is_not_taken(app: Flask) -> None:
    PAUSES.begin("github", KEY, 1000)
    turn = rows()[0]["next_at"]
    assert [PAUSES.wait("github", KEY) > 900 for _ in range(3)] == [True] * 3
    assert rows()[0]["next_at"] == turn


def test_each_refusal_makes_the_pace_slower_and_those_at_once_count_as_one(app: Flask) -> None:
    paces = []
    for _ in range(9):
        PAUSES.begin("github", KEY, 1)
        PAUSES.begin("github", KEY, 1)
        paces.append(pace())
        has_ended(0.5)
    assert paces == [250, 375, 562, 843, 1264, 1896, 2844, 4000, 4000]


def test_each_call_that_passes_makes_the_pace_quicker_until_there_is_none(app: Flask) -> None:
    PAUSES.begin("github", KEY, 0)
    paces: list[int | None] = [250]
    while now := paces[-1]:
        PAUSES.wait("github", KEY)
        has_ended(0.01)
        paces.append(pace())
        assert paces[-1] is None or paces[-1] < now
    assert 80 < len(paces) < 120, "it takes many calls to find out anew"
    assert PAUSES.wait("github", KEY) == 0


def test_the_pace_of_who_was_idle_is_forgotten(app: Flask) -> None:
    for _ in range(4):
        PAUSES.begin("github", KEY, 1)
        has_ended(0.5)
    has_ended(61)
    assert [PAUSES.wait("github", KEY) for _ in range(3)] == [0, 0, 0]
    PAUSES.begin("github", KEY, 1)
    assert pace() == 250


# -- what it costs, and a database that is away ------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [None, 1000])
def test_a_call_costs_one_statement(app: Flask, seconds: float | None) -> None:
    if seconds:
        PAUSES.begin("github", KEY, seconds)
    seen: list[str] = []

    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    engine = extension().database.engine
    event.listen(engine, "before_cursor_execute", listen)
    try:
        PAUSES.wait("github", KEY)
    finally:
        event.remove(engine, "before_cursor_execute", listen)
    assert len([one for one in seen if one != "BEGIN"]) == 1


@pytest.mark.parametrize("call", [lambda: PAUSES.wait("github", KEY), lambda: PAUSES.begin("github", KEY, 9) - 9])
def test_a_database_that_is_away_fails_no_call(
    app: Flask, monkeypatch: pytest.MonkeyPatch, call: Callable[[], float]
) -> None:
    def gone(_name: str = "") -> None:
        raise OperationalError("SELECT 1", None, Exception("gone"), connection_invalidated=True)

    monkeypatch.setattr(forge_pauses, "single_read", gone)
    monkeypatch.setattr(forge_pauses, "transaction", gone)
    assert call() == 0
