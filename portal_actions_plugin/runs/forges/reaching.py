"""What the portal's credentials can do at its forges: found out in the background, and kept for minutes.

A start, a page and a health check ask here: nobody waits for a forge for longer than they say.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, cast

from flask import current_app

from portal_actions_plugin.errors import ActionError, AuthError, ConfigurationError, RemoteError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.forges.answers import Answers, Kept
from portal_actions_plugin.runs.forges.opening import opening_of
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.runs.secrets.sealing import mask_error
from portal_actions_plugin.scm.base import Operation, Reach

if TYPE_CHECKING:
    from flask import Flask

    from portal_actions_plugin.settings.installations import Installation

log = logging.getLogger(__name__)

KEPT_SECONDS = 300.0
ERROR_SECONDS = 30.0
"""How long an error is kept: somebody may be about to mend it. A forge that is away is not asked by each start."""

_KEPT = "forge_reach"


@dataclass(frozen=True, slots=True)
class Reached:
    """What is known of a credential at a forge.

    Attributes:
        operations: what the forge itself can do; None where that is not known.
        reach: what the credential can do; None where that was not found out.
        error: why it was not.
        seconds: how long the forge took.
    """

    operations: frozenset[Operation] | None
    reach: Reach | None
    error: ActionError | None = None
    seconds: float = 0.0

    @property
    def is_refused(self) -> bool:
        """Whether it is certain that the credential is missing, or is none there."""
        return isinstance(self.error, AuthError | ConfigurationError)


@dataclass(frozen=True, slots=True)
class Question:
    """Whom to ask: an installation, with the credential for an owner; None for the installation's own."""

    installation: Installation
    owner: str | None

    @property
    def key(self) -> tuple[str, str]:
        """What it is kept by."""
        return (self.installation.name, (self.owner or "").casefold())


def reached(
    question: Question, *, seconds: float, is_good: Callable[[Kept[Reached]], bool] | None = None
) -> Reached | None:
    """What a credential can do, as it was within the last minutes.

    Args:
        question: of which credential.
        seconds: how long to wait for a forge that has to be asked.
        is_good: whether what is kept will do; by default a success for minutes, and an error for half a minute.

    Returns:
        None when the forge did not answer in time.
    """
    found = _answers().ask(question.key, _asker(question), seconds=seconds, is_good=is_good or is_fresh)
    return found.answer if found else None


def all_reached(questions: Iterable[Question], *, seconds: float) -> Sequence[Reached | None]:
    """What several credentials can do, asked at the same time; ``seconds`` is for all of them together.

    One whose forge does not answer in time is what was known of it before, and None when nothing was.
    """
    asked = list(questions)
    until = monotonic() + seconds
    for one in asked:
        reached(one, seconds=0.0)
    found = [reached(one, seconds=max(until - monotonic(), 0.0)) for one in asked]
    return [one or _before(question) for one, question in zip(found, asked, strict=True)]


def is_fresh(kept: Kept[Reached]) -> bool:
    """Whether what is kept is young enough for a start or a page."""
    return kept.is_younger_than(ERROR_SECONDS if kept.answer.error else KEPT_SECONDS)


def _before(question: Question) -> Reached | None:
    kept = _answers().latest(question.key)
    return kept.answer if kept else None


def _answers() -> Answers[Reached]:
    kept = extension().kept
    return cast("Answers[Reached]", kept.setdefault(_KEPT, Answers[Reached]()))


def _asker(question: Question) -> Callable[[], Reached]:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 Flask's documented way

    def ask() -> Reached:
        with app.app_context():
            return find_out(question)

    return ask


def find_out(question: Question) -> Reached:
    """Ask a forge what a credential can do. Raises nothing, and takes as long as the forge does."""
    kinds = extension().provider_kinds
    redactor = Redactor()
    opening = replace(opening_of(question.installation), redact=redactor.add)
    began = monotonic()
    operations = None
    try:
        operations = kinds.operations(question.installation.kind)
        provider = kinds.open(opening)
        operations = provider.operations
        reach = provider.reach(question.owner)
    except ActionError as error:
        mask_error(error, redactor)
        return Reached(operations, None, error, monotonic() - began)
    except Exception as error:  # noqa: BLE001 a provider may be anybody's
        # Not log.exception: a traceback ends with the error's own message, which may hold a credential.
        log.error(  # noqa: TRY400
            "%s could not be asked what its credential can do: %s",
            question.installation.name,
            redactor.text(f"{type(error).__name__}: {error}"),
        )
        unknown = RemoteError(f"{question.installation.name} could not be asked: {type(error).__name__}.")
        return Reached(operations, None, unknown, monotonic() - began)
    return Reached(operations, _masked(reach, redactor), seconds=monotonic() - began)


def _masked(reach: Reach, redactor: Redactor) -> Reach:
    return replace(
        reach,
        who=redactor.text(reach.who),
        forge=redactor.text(reach.forge),
        missing={operation: redactor.text(lacks) for operation, lacks in reach.missing.items()},
    )
