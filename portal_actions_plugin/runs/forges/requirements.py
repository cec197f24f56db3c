"""A start whose steps would be refused by a forge is refused itself, before there is a run. A forge that is away refuses none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import (
    AuthError,
    ConfigurationError,
    FieldErrors,
    PortalActionsError,
    ValidationError,
)
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs.forges.answers import Kept
from portal_actions_plugin.runs.forges.needs import is_on_disk
from portal_actions_plugin.runs.forges.reaching import Question, Reached, is_fresh, reached
from portal_actions_plugin.scm.optional import WORDS

if TYPE_CHECKING:
    from portal_actions_plugin.runs.forges.needs import Need
    from portal_actions_plugin.scm.base import Operation
    from portal_actions_plugin.settings.installations import Installation
    from portal_actions_plugin.software_templates.forge_targets import Target

_GIVEN = re.compile("the (scope|permission|role)s? ")
"""How providers begin to say what can be given to a credential; all else is a sentence of its own."""

START_SECONDS = 3.0
"""How long a start waits for a forge, once; while that does not answer, later ones do not wait at all."""

LOOK_AGAIN_SECONDS = 15.0
"""A refusal that is older is not believed: whoever has mended the credential wants to go on."""


def require_forges(needs: Iterable[Need]) -> None:
    """Refuse a start whose steps ask for more than a forge can do, or than the portal's credential may.

    Args:
        needs: what its steps ask for.

    Raises:
        ValidationError: an input names a forge that this portal does not know, that cannot do it, or where the portal's
            credential may not: the input is named.
        AuthError, ConfigurationError: likewise, of a forge that no input names.
    """
    wanted: dict[tuple[str, str | None], tuple[Target, dict[Operation, str]]] = {}
    for need in needs:
        target = need.target
        if target.provider not in extension().config.scm:
            known = ", ".join(extension().config.scm)
            raise _refusal(target, f"There is no SCM provider {target.provider!r}: this portal knows {known}.", None)
        kind = extension().config.scm[target.provider].kind
        if need.kinds and kind not in need.kinds:
            message = f"{target.provider} is of the kind {kind}{_asked_by_step(need)}."
            raise _refusal(target, message, None)
        key = (target.provider, target.owner.casefold() if target.owner else None)
        _, operations = wanted.setdefault(key, (target, {}))
        for operation in sorted(need.operations):
            operations.setdefault(operation, need.step)
    for target, operations in wanted.values():
        _require(extension().config.scm[target.provider], target, operations)


def _require(installation: Installation, target: Target, wanted: Mapping[Operation, str]) -> None:
    can = extension().provider_kinds.operations(installation.kind)
    _require_ability(target, wanted, can)
    if is_on_disk(installation.name):
        return  # no web process needs git in its memory
    question = Question(installation, target.owner)
    found = reached(question, seconds=START_SECONDS)
    if found and _lacks(found, wanted):
        found = reached(question, seconds=START_SECONDS, is_good=_is_believed)
    if found is None:
        return
    _require_ability(target, wanted, found.operations)
    if found.is_refused and found.error:
        raise _refusal(target, found.error.message, found.error)
    for operation, lacks in _missing(found, wanted).items():
        who = found.reach.who if found.reach else ""
        where = f"{target.provider}{f' for {target.owner}' if target.owner else ''}"
        message = (
            f"{who or 'The portal’s credential'} may not {WORDS[operation]} on {where}"
            f"{_asked_by(wanted[operation])}: {_reason(lacks)}."
        )
        raise _refusal(target, message, AuthError(hint=_who_gives(lacks)))


def _require_ability(target: Target, wanted: Mapping[Operation, str], can: frozenset[Operation] | None) -> None:
    for operation, step in wanted.items():
        if can is not None and operation not in can:
            message = f"{target.provider} cannot {WORDS[operation]}{_asked_by(step)}."
            raise _refusal(target, message, None)


def _reason(lacks: str) -> str:
    return f"it lacks {lacks}" if _GIVEN.match(lacks) else lacks


def _who_gives(lacks: str) -> str:
    gives = f"give it {lacks}" if _GIVEN.match(lacks) else "look at the portal's credential"
    return f"Ask your platform team to {gives}."


def _asked_by(step: str) -> str:
    return f", which the step {step} asks for" if step else ""


def _asked_by_step(need: Need) -> str:
    return f", and the step {need.step} is for {need.kinds[0]}" if need.step else f", and this is for {need.kinds[0]}"


def _is_believed(kept: Kept[Reached]) -> bool:
    return is_fresh(kept) and kept.is_younger_than(LOOK_AGAIN_SECONDS)


def _lacks(found: Reached, wanted: Mapping[Operation, str]) -> bool:
    return found.is_refused or bool(_missing(found, wanted))


def _missing(found: Reached, wanted: Mapping[Operation, str]) -> Mapping[Operation, str]:
    missing = found.reach.missing if found.reach else {}
    return {operation: missing[operation] for operation in wanted if operation in missing}


def _refusal(target: Target, message: str, why: PortalActionsError | None) -> PortalActionsError:
    """The error of a start: of the input that names the forge, where there is one."""
    hint = why.hint if why else None
    if target.fields:
        return ValidationError(message, hint=hint or "Choose another one.", fields=_field(target.fields[0], message))
    kind = type(why) if isinstance(why, AuthError | ConfigurationError) else ConfigurationError
    return kind(message, hint=hint)


def _field(path: tuple[str, ...], message: str) -> FieldErrors:
    fields: FieldErrors = {path[-1]: [message]}
    for key in reversed(path[:-1]):
        fields = {key: fields}
    return fields
