"""A write whose answer is lost is looked up, and what a webhook's secret leaves behind does not tell it."""

from __future__ import annotations

import json

import pytest

from portal_actions_plugin.errors import AuthError, ConflictError, RateLimitedError, RemoteError
from portal_actions_plugin.run_types import JsonValue
from portal_actions_plugin.scm.opening import NoNotes
from portal_actions_plugin.scm.remote import lost_answers
from portal_actions_plugin.scm.remote.answers import LostAnswerError
from portal_actions_plugin.scm.remote.lost_answers import write_once
from portal_actions_plugin.scm.remote.webhook_secrets import has_secret, keep_fingerprint


class Clock:
    """Passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(lost_answers, "monotonic", made.monotonic)
    monkeypatch.setattr(lost_answers, "sleep", made.sleep)
    return made


def loses() -> str:
    raise LostAnswerError("POST /things: no answer")


def ignore(_line: str) -> None:
    """Nobody reads it."""


def test_a_write_with_an_answer_is_not_looked_up() -> None:
    assert write_once(lambda: "made", lambda: pytest.fail("looked up"), log=ignore) == "made"


@pytest.mark.parametrize("error", [ConflictError("c"), RemoteError("r"), RateLimitedError("l")])
def test_any_other_error_is_passed_on(error: Exception) -> None:
    def fails() -> str:
        raise error

    with pytest.raises(type(error)):
        write_once(fails, lambda: pytest.fail("looked up"), log=ignore)


@pytest.mark.usefixtures("clock")
def test_what_appears_after_a_while_is_found_and_both_is_logged() -> None:
    answers = iter([None, None, "found"])
    lines: list[str] = []
    assert write_once(loses, lambda: next(answers), log=lines.append) == "found"
    assert [line.partition(":")[0] for line in lines] == [
        "The answer was lost, so it is looked up whether it has happened",
        "It has happened.",
    ]


def test_it_is_looked_up_for_ten_seconds_and_no_longer(clock: Clock) -> None:
    looks: list[float] = []
    with pytest.raises(LostAnswerError, match="POST /things"):
        write_once(loses, lambda: looks.append(clock.now), log=ignore)
    assert looks == [0.0, 0.5, 1.5, 3.5, 7.5, 10.0]


def test_a_look_that_fails_is_made_again(clock: Clock) -> None:
    def look() -> str:
        if clock.now < 3:
            raise RemoteError("502")
        return "found"

    assert write_once(loses, look, log=ignore) == "found"


def test_a_limit_while_looking_is_no_limit_of_the_write(clock: Clock) -> None:
    def look() -> str:
        raise RateLimitedError("slowly", retry_after=90)

    with pytest.raises(LostAnswerError) as caught:
        write_once(loses, look, log=ignore)
    assert (caught.value.retry_after, clock.now) == (90, 0.0)


def test_an_error_that_stays_ends_the_looking(clock: Clock) -> None:
    def look() -> str:
        raise AuthError("revoked")

    with pytest.raises(LostAnswerError):
        write_once(loses, look, log=ignore)
    assert clock.now == 0.0


class OnceNotes(NoNotes):
    """Keeps what was saved first, as the checkpoints of runs do."""

    def save(self, key: str, value: JsonValue) -> None:
        if self.load(key) is None:
            super().save(key, value)


def test_a_webhooks_secret_is_known_again_and_no_other() -> None:
    notes = OnceNotes()
    assert not has_secret(notes, "acme/shop https://a.example/", "s3cret")
    keep_fingerprint(notes, "acme/shop https://a.example/", "s3cret")
    assert has_secret(notes, "acme/shop https://a.example/", "s3cret")
    assert not has_secret(notes, "acme/shop https://a.example/", "other")
    keep_fingerprint(notes, "acme/shop https://a.example/", "other")
    assert has_secret(notes, "acme/shop https://a.example/", "other")
    assert not has_secret(notes, "acme/shop https://a.example/", "s3cret")
    assert not has_secret(notes, "acme/shop https://b.example/", "s3cret")


def test_the_same_secret_leaves_something_else_each_time() -> None:
    kept: list[str] = []
    for _ in range(2):
        notes = NoNotes()
        keep_fingerprint(notes, "hook", "1234")
        kept.append(json.dumps(notes._kept))
    assert kept[0] != kept[1]
