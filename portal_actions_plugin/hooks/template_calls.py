"""The filters and names that a host adds to those of templates."""

from __future__ import annotations

import functools
import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from portal_actions_plugin.answers import drop, kind_of, name_of, refuse_async
from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.host import TemplateFilters, TemplateGlobals

if TYPE_CHECKING:
    from portal_actions_plugin.software_templates.expressions.host_calls import HostCalls

log = logging.getLogger(__name__)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_RESERVED = frozenset(
    "true false none null and or not in is if else constructor prototype __proto__".split()  # noqa: SIM905 words
)
_OF_TEMPLATES = frozenset(
    "parameters steps user context environment secrets each always failure loop caller".split()  # noqa: SIM905
)


@functools.lru_cache(maxsize=16)
def template_calls(filters: TemplateFilters | None, others: TemplateGlobals | None) -> HostCalls:
    """What a host adds to what expressions of templates may call, asked of it once.

    Raises:
        ConfigurationError: a hook failed, or answered something else than a mapping, or with a name that cannot be used.
    """
    from portal_actions_plugin.software_templates.expressions.host_calls import HostCalls

    found = _named("template_filters", filters)
    for name, value in found.items():
        if not callable(value):
            raise ConfigurationError(f"The filter {name} of {name_of(filters)} is {kind_of(value)}, and no function.")
        refuse_async(value, f"The filter {name}")
    named = _named("template_globals", others)
    for name, value in named.items():
        if name in _OF_TEMPLATES:
            raise ConfigurationError(f"The global {name} of {name_of(others)} has a name that templates have already.")
        if callable(value):
            refuse_async(value, f"The global {name}")
        else:
            _require_json(name, value, others)
    return HostCalls(cast("Mapping[str, Callable[..., object]]", found), named)


def _named(kind: str, hook: Callable[[], Mapping[str, Any]] | None) -> dict[str, Any]:
    if hook is None:
        return {}
    try:
        answer = hook()
    except Exception as error:
        log.exception("the hook %s failed", name_of(hook))
        raise ConfigurationError(f"The hook {name_of(hook)} failed: {type(error).__name__}.") from None
    if not isinstance(answer, Mapping):
        drop(answer)
        raise ConfigurationError(f"The hook {name_of(hook)} answered {kind_of(answer)} instead of a mapping by name.")
    for name in answer:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _RESERVED:
            raise ConfigurationError(
                f"The hook {name_of(hook)} names {name!r} in {kind}: a name has letters, digits and _, and begins with no digit."
            )
    return dict(answer)


def _require_json(name: str, value: object, hook: object) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ConfigurationError(
            f"The global {name} of {name_of(hook)} is {kind_of(value)}: neither a function nor JSON."
        ) from None
