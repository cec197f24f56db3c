"""What the hooks of a host answer, and what becomes of an answer that is none."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, TypeVar

from flask import has_request_context, request

from portal_actions_plugin.answers import drop, kind_of, name_of, settled
from portal_actions_plugin.errors import ConfigurationError, NotFoundError
from portal_actions_plugin.host import (
    Authorizer,
    Catalog,
    Identity,
    IdentityLoader,
    RequesterSecrets,
    ScmCredentials,
    Scorecards,
    TemplateListing,
    TemplateSource,
    UserEntity,
)
from portal_actions_plugin.run_types import Json

if TYPE_CHECKING:
    from portal_actions_plugin.software_templates.spec import Template

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_ENTITY = 64_000
"""Characters of the requester's entity, as JSON: it is kept with each run whose template names it."""


def identity(loader: IdentityLoader) -> Identity | None:
    """Who asks, as the host's loader says; nobody, when it says something else. Raises what the loader raises."""
    answer = settled(loader())
    if answer is None or isinstance(answer, Identity):
        return answer
    _say_once(loader, f"answered {kind_of(answer)}, which is no Identity: nobody is signed in")
    return None


def may(authorizer: Authorizer, who: Identity, permission: str, target: object) -> bool:
    """Whether the host's authorizer answers with ``True`` itself; whatever else happens is a denial."""
    try:
        answer = settled(authorizer(who, permission, target))
    except Exception:  # noqa: BLE001 whatever goes wrong in there opens no door
        _say_once(authorizer, f"failed when it was asked for {permission}: denied", with_traceback=True)
        return False
    if answer is True or answer is False:  # not isinstance, which believes what an object says of its class
        return answer is True
    _say_once(authorizer, f"answered {kind_of(answer)} when it was asked for {permission}, which is no bool: denied")
    drop(answer)
    return False


def _say_once(hook: object, message: str, *, with_traceback: bool = False) -> None:
    """Log what a hook does wrong, once in each request: a page asks a hundred times."""
    if has_request_context():
        said = request.environ.setdefault("portal_actions.said_of_hooks", set())
        if (id(hook), message) in said:
            return
        said.add((id(hook), message))
    log.error("the hook %s %s", name_of(hook), message, exc_info=with_traceback)


class _Checked:
    """A host's object: what it has of its own is there too, and its async methods are awaited."""

    def __init__(self, hook: object) -> None:
        self._hook = hook

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._hook, name)
        return _awaiting(value) if callable(value) and not isinstance(value, type) else value

    def _answer(self, method: str, *arguments: object, wanted: type[T]) -> T:
        answer = settled(getattr(self._hook, method)(*arguments))
        if not isinstance(answer, wanted):
            drop(answer)
            raise ConfigurationError(
                f"The hook {name_of(self._hook)} answered {method} {kind_of(answer)} instead of a {wanted.__name__}."
            )
        return answer


def _awaiting(function: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        return settled(function(*args, **kwargs))

    return call


class CheckedTemplates(_Checked):
    """A host's template source."""

    def list(self) -> TemplateListing:
        from portal_actions_plugin.software_templates.spec import Template

        listing = self._answer("list", wanted=TemplateListing)
        if odd := next((one for one in listing.templates if not isinstance(one, Template)), None):
            raise ConfigurationError(f"The hook {name_of(self._hook)} lists {kind_of(odd)} instead of a Template.")
        return listing

    def get(self, name: str) -> Template:
        from portal_actions_plugin.software_templates.loader import no_template
        from portal_actions_plugin.software_templates.spec import Template

        try:
            return self._answer("get", name, wanted=Template)
        except NotFoundError:
            # In our words: one that the host hides from somebody must sound like one that is not there.
            raise no_template(name) from None


class CheckedCatalog(_Checked):
    """A host's catalog."""

    def register_entity(self, entity: Mapping[str, Json], source: str | None) -> str:
        return self._answer("register_entity", entity, source, wanted=str)


class CheckedScorecards(_Checked):
    """A host's scorecards."""

    def evaluate(self, entity_id: str, scorecard_id: str, force: bool) -> Mapping[str, Json]:  # noqa: FBT001 the host contract's signature
        return self._answer("evaluate", entity_id, scorecard_id, force, wanted=Mapping)  # type: ignore[type-abstract]


def scm_token(asker: ScmCredentials | None, installation: str, owner: str) -> str | None:
    """The token that the host has for an owner of an installation; None when it has none, or gave no hook.

    Raises:
        ConfigurationError: the hook failed, or answered something else than a text or None. The answer is not shown.
    """
    if asker is None:
        return None
    try:
        answer = settled(asker(installation, owner))
    except Exception as error:  # noqa: BLE001 whatever goes wrong in there
        _log_where(asker, f"{installation}/{owner}", error)
        raise ConfigurationError(
            f"The hook {name_of(asker)} failed when it was asked for a credential of {installation}: "
            f"{type(error).__name__}.",
            hint="Tell your platform team: the log says where.",
        ) from None
    if answer is None or (isinstance(answer, str) and answer):
        return answer
    drop(answer)
    raise ConfigurationError(
        f"The hook {name_of(asker)} answered {kind_of(answer)} instead of a token or None for {installation}/{owner}."
    )


def _log_where(hook: object, asked_for: str, error: Exception) -> None:
    """Log where a hook failed that answers with secrets. What its error says may hold one, so that is not logged."""
    where = ", ".join(f"{at.filename}:{at.lineno} ({at.name})" for at in extract_tb(error.__traceback__)[1:])
    log.error(
        "the hook %s failed when it was asked for %s: %s at %s", name_of(hook), asked_for, type(error).__name__, where
    )


def requester_secrets(asker: RequesterSecrets | None, who: Identity, keys: Sequence[str]) -> dict[str, str]:
    """The requester's own secrets, such as their token at a forge.

    Args:
        asker: the host's hook.
        who: the requester of the run that begins.
        keys: what the template names them by.

    Returns:
        The secrets by key: those that the host has of them.

    Raises:
        ConfigurationError: there is no hook, it failed, or answered something else. The answer is not shown.
    """
    names = ", ".join(keys)
    if asker is None:
        raise ConfigurationError(
            f"This template works as its requester, with {names}, and this portal gives nobody's.",
            hint="Tell your platform team: the host registers it with @plugin.requester_secrets.",
        )
    try:
        answer = settled(asker(who, tuple(keys)))
    except Exception as error:  # noqa: BLE001 whatever goes wrong in there
        _log_where(asker, names, error)
        raise ConfigurationError(
            f"The hook {name_of(asker)} failed when it was asked for {names}: {type(error).__name__}.",
            hint="Tell your platform team.",
        ) from None
    if not isinstance(answer, Mapping) or not all(isinstance(one, str | None) for one in answer.values()):
        drop(answer)
        raise ConfigurationError(
            f"The hook {name_of(asker)} answered {kind_of(answer)} instead of a mapping of {names} to texts."
        )
    return {key: value for key in keys if (value := answer.get(key))}


def user_entity(asker: UserEntity | None, who: Identity) -> dict[str, Json] | None:
    """What the host's catalog has of somebody, as JSON; None when it has nothing, or the host gave no hook.

    Raises:
        ConfigurationError: the hook failed, or answered something else than a mapping of JSON values, or a huge one.
    """
    if asker is None:
        return None
    try:
        answer = settled(asker(who))
    except Exception as error:
        log.exception("the hook %s failed", name_of(asker))
        raise ConfigurationError(
            f"The hook {name_of(asker)} failed when it was asked for the entity of {who.id}: {type(error).__name__}.",
            hint="Tell your platform team: the log says where.",
        ) from None
    if answer is None:
        return None
    try:
        if not isinstance(answer, Mapping):
            raise TypeError
        whole = json.dumps(dict(answer), allow_nan=False)
        entity: dict[str, Json] = json.loads(whole)
    except (TypeError, ValueError, RecursionError):
        drop(answer)
        raise ConfigurationError(
            f"The hook {name_of(asker)} answered {kind_of(answer)} that is no mapping of JSON values."
        ) from None
    if len(whole) > MAX_ENTITY:
        raise ConfigurationError(
            f"The hook {name_of(asker)} answered with {len(whole):,} characters: an entity has at most {MAX_ENTITY:,}."
        )
    return entity


def templates(source: TemplateSource) -> TemplateSource:
    return CheckedTemplates(source)


def catalog(given: Catalog | None) -> Catalog | None:
    return None if given is None else CheckedCatalog(given)


def scorecards(given: Scorecards | None) -> Scorecards | None:
    return None if given is None else CheckedScorecards(given)
