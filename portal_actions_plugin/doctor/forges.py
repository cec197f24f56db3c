"""The doctor's look at forges: whether each answers, who the portal is there, and what it may not do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from portal_actions_plugin.doctor.findings import Check, Finding, critical, duration, fine, warning
from portal_actions_plugin.errors import ActionError, ConfigurationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.forges.answers import MOST_AT_ONCE
from portal_actions_plugin.runs.forges.listing import candidates, is_by_owner, is_set_up, url_of
from portal_actions_plugin.runs.forges.reaching import Question, Reached, all_reached
from portal_actions_plugin.scm.optional import WORDS

PART = "forges"
FORGES_SECONDS = 10.0
"""How long all forges together may take to answer."""

SKEW_SECONDS = 60.0


def _forges() -> Iterator[Finding]:
    asked = list(_questions())
    some, rest = asked[:MOST_AT_ONCE], asked[MOST_AT_ONCE:]
    for question, reached in zip(some, all_reached(some, seconds=FORGES_SECONDS), strict=True):
        if question.owner or is_set_up(question.installation, reached):
            yield from _seen(question, reached)
    if rest:
        yield fine(PART, f"not tried, since there are so many: {', '.join(map(_named, rest))}")


def _questions() -> Iterator[Question]:
    """The installations' own credentials, and those that the settings have for owners."""
    for installation in candidates():
        yield Question(installation, None)
        owners = installation.settings.get("owners")
        if isinstance(owners, Mapping):
            yield from (Question(installation, str(owner)) for owner in owners)


def _seen(question: Question, reached: Reached | None) -> Iterator[Finding]:
    name = _named(question)
    if reached is None:
        message = f"{name} does not answer within {FORGES_SECONDS:g} s: its runs wait or fail"
        yield warning(PART, message, _mend_place(question))
        return
    if reached.error is not None:
        yield from _wrong(question, reached, reached.error)
    if reached.reach is None:
        return
    who = f"{reached.reach.who}, " if reached.reach.who else ""
    where = f" at {url}" if (url := url_of(question.installation)) else ""
    yield fine(PART, f"{name}: {who}{reached.reach.forge}{where}, in {reached.seconds * 1000:.0f} ms")
    if missing := _by_what_is_lacking(reached):
        yield fine(PART, f"{name}: what its credential may not do: {missing}")
    skew = reached.reach.skew
    if skew is not None and abs(skew) > SKEW_SECONDS:
        which = "behind" if skew > 0 else "ahead of"
        message = f"{name}: this machine's clock is {duration(abs(skew))} {which} the forge's"
        yield warning(PART, message, "set this machine's clock by NTP, such as `timedatectl set-ntp true`")


def _wrong(question: Question, reached: Reached, error: ActionError) -> Iterator[Finding]:
    message = f"{_named(question)}: {error.message}"
    if isinstance(error, ConfigurationError) and not question.owner and is_by_owner(question.installation):
        if extension().hooks.scm_credentials:
            yield fine(
                PART, f"{_named(question)}: credentials come from the hook scm_credentials, by owner: none is tried"
            )
    elif reached.is_refused:
        yield critical(PART, message, error.hint)
    else:
        yield warning(PART, message, _mend_place(question) if error.hint == type(error).hint else error.hint)


def _mend_place(question: Question) -> str:
    return f"let this machine reach it, or correct PORTAL_ACTIONS_SCM[{question.installation.name!r}]: api_url, proxy, ca_file"


def _by_what_is_lacking(reached: Reached) -> str:
    """What cannot be done, by what the credential lacks for it: nothing of what the forge cannot do anyway."""
    operations = reached.operations or frozenset()
    lacking: dict[str, list[str]] = {}
    for operation, lacks in sorted(reached.reach.missing.items() if reached.reach else ()):
        if operation in operations:
            lacking.setdefault(lacks, []).append(WORDS[operation])
    return "; ".join(f"{', '.join(words)} ({lacks})" for lacks, words in lacking.items())


def _named(question: Question) -> str:
    return f"{question.installation.name} for {question.owner}" if question.owner else question.installation.name


CHECK = Check(PART, _forges, "none is set up")
