"""Writes of one credential take turns within a process."""

from __future__ import annotations

import os
import threading

import pytest

from portal_actions_plugin.scm.remote import turns
from portal_actions_plugin.scm.remote.turns import Turns


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(turns, "monotonic", made.monotonic)
    monkeypatch.setattr(turns, "sleep", made.sleep)
    return made


def test_a_second_lies_between_the_end_of_a_write_and_the_next(clock: Clock) -> None:
    taking = Turns()
    with taking.turn("ada", 1.0):
        clock.now += 5
    clock.now += 0.25
    with taking.turn("ada", 1.0):
        pass
    clock.now += 3
    with taking.turn("ada", 1.0):
        pass
    assert clock.slept == [0.75]


def test_another_credential_and_a_forge_without_a_pause_wait_for_nobody(clock: Clock) -> None:
    taking = Turns()
    for writer, pause in (("ada", 1.0), ("bob", 1.0), ("eve", 0.0), ("eve", 0.0)):
        with taking.turn(writer, pause):
            pass
    assert clock.slept == []


def test_no_two_writes_of_a_credential_are_made_at_once() -> None:
    taking, entered = Turns(), threading.Event()

    def write() -> None:
        with taking.turn("ada", 0.0):
            entered.set()

    with taking.turn("ada", 0.0):
        other = threading.Thread(target=write)
        other.start()
        assert not entered.wait(0.3)
    other.join()
    assert entered.is_set()


def test_a_write_that_fails_ends_its_turn() -> None:
    taking = Turns()
    with pytest.raises(ZeroDivisionError), taking.turn("ada", 0.0):
        raise ZeroDivisionError
    with taking.turn("ada", 0.0):
        pass


def test_a_forked_child_waits_for_no_turn_of_its_parent() -> None:
    taking = Turns()
    with taking.turn("ada", 0.0):
        child = os.fork()
        if not child:
            with taking.turn("ada", 0.0):
                os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
