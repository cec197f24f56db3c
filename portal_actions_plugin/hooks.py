"""The hooks of an app: given at any time, looked up at each call, and their answers checked."""

from __future__ import annotations

import functools
import json
import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from traceback import extract_tb
from types import MethodType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from flask import has_request_context, request

from portal_actions_plugin.answers import drop, name_of, refuse_async, require_async, settled
from portal_actions_plugin.errors import ConfigurationError, NotFoundError
from portal_actions_plugin.host import (
    Authorizer,
    Catalog,
    Hooks,
    Identity,
    IdentityLoader,
    RequesterSecrets,
    ScmCredentials,
    Scorecards,
    TemplateFilters,
    TemplateGlobals,
    TemplateListing,
    TemplateSource,
    UserEntity,
)
from portal_actions_plugin.run_types import Json

if TYPE_CHECKING:
    from portal_actions_plugin.software_templates.expressions.host_calls import HostCalls
    from portal_actions_plugin.software_templates.spec import Template

log = logging.getLogger(__name__)

T = TypeVar("T")

METHODS: Mapping[str, Sequence[str]] = {
    "identity_loader": (),
    "authorizer": (),
    "template_source": ("list", "get"),
    "catalog": ("register_entity",),
    "scorecards": ("evaluate",),
    "scm_credentials": (),
    "requester_secrets": (),
    "template_filters": (),
    "template_globals": (),
    "user_entity": (),
}
"""What each hook is asked by: methods of an object, or the hook itself."""

MAX_ENTITY = 64_000
"""Characters of the requester's entity, as JSON: it is kept with each run whose template names it."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_RESERVED = frozenset(
    "true false none null and or not in is if else constructor prototype __proto__".split()  # noqa: SIM905 words
)
_OF_TEMPLATES = frozenset(
    "parameters steps user context environment secrets each always failure loop caller".split()  # noqa: SIM905
)

KINDS = tuple(METHODS)
assert set(KINDS) == {hook.name for hook in fields(Hooks)}  # noqa: S101 a hook of which nobody knows how to ask it


class HookTable:
    """The hooks of one app, or those that apps begin with. A reader needs no lock: ``hooks`` is replaced as a whole."""

    def __init__(self) -> None:
        self.hooks = Hooks()
        self._given: dict[str, object] = {}
        self._defaults: set[str] = set()
        self._lock = threading.Lock()

    def register(self, kind: str, given: object, *, replaces: bool, how: str) -> None:
        """Take a hook.

        Args:
            kind: one of ``KINDS``.
            given: what the host gave; a class is called without arguments.
            replaces: whether another one of this kind may be there already.
            how: how to say that it replaces, for the message of the error.

        Raises:
            ConfigurationError: there is another one, or this one cannot be asked.
        """
        if self.has(kind, given):
            return
        hook = _usable(kind, given() if isinstance(given, type) else given)
        with self._lock:
            before = self._given.get(kind)
            if before is not None and not replaces and not _is_reloaded(before, given):
                default = "the default that was registered before init_app" if kind in self._defaults else "registered"
                raise ConfigurationError(
                    f"{name_of(given)} would be a second {kind}: {name_of(before)} is {default}. "
                    f"Keep one of them, or say that the new one takes its place: {how}."
                )
            self._given[kind] = given
            self._defaults.discard(kind)
            self.hooks = replace(self.hooks, **{kind: hook})

    def take_defaults(self, defaults: HookTable) -> None:
        """Begin with these, where no hook of an app's own is there yet."""
        with self._lock:
            new = {kind: given for kind, given in defaults._given.items() if kind not in self._given}
            self.hooks = replace(self.hooks, **{kind: getattr(defaults.hooks, kind) for kind in new})
            self._given |= new
            self._defaults |= set(new)

    def has(self, kind: str, given: object) -> bool:
        """Whether this very hook is there already."""
        return kind in self._given and _is_same(self._given[kind], given)


def _is_same(one: object, other: object) -> bool:
    if isinstance(one, MethodType) and isinstance(other, MethodType):
        return one.__self__ is other.__self__ and one.__func__ is other.__func__
    return one is other


def _is_reloaded(before: object, given: object) -> bool:
    """Whether it is the same line of code, of a module that was loaded again."""
    names = [getattr(hook, "__qualname__", None) for hook in (before, given)]
    return (
        names[0] is not None
        and names[0] == names[1]
        and "<" not in names[0]  # what a function makes, or a lambda: each is one of its own
        and not isinstance(given, MethodType)
        and before.__module__ == given.__module__
    )


def _usable(kind: str, hook: object) -> Any:
    if kind in {"template_filters", "template_globals"} and isinstance(hook, Mapping):
        return functools.partial(dict, hook)
    for method in METHODS[kind] or ("",):
        what = f"The {kind}" + (f"'s {method}" if method else "")
        function = getattr(hook, method, None) if method else hook
        if not callable(function):
            raise ConfigurationError(f"{what} cannot be called: {name_of(hook)} was registered as {kind}.")
        require_async(function, what)
    return hook


# -- what they answer ------------------------------------------------------------------------------------------------


def identity(loader: IdentityLoader) -> Identity | None:
    """Who asks, as the host's loader says; nobody, when it says something else. Raises what the loader raises."""
    answer = settled(loader())
    if answer is None or isinstance(answer, Identity):
        return answer
    _say_once(loader, f"answered {_kind(answer)}, which is no Identity: nobody is signed in")
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
    _say_once(authorizer, f"answered {_kind(answer)} when it was asked for {permission}, which is no bool: denied")
    drop(answer)
    return False


def _kind(answer: object) -> str:
    return "None" if answer is None else f"with a {type(answer).__name__}"


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
                f"The hook {name_of(self._hook)} answered {method} {_kind(answer)} instead of a {wanted.__name__}."
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
            raise ConfigurationError(f"The hook {name_of(self._hook)} lists {_kind(odd)} instead of a Template.")
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
        f"The hook {name_of(asker)} answered {_kind(answer)} instead of a token or None for {installation}/{owner}."
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
            f"The hook {name_of(asker)} answered {_kind(answer)} instead of a mapping of {names} to texts."
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
            f"The hook {name_of(asker)} answered {_kind(answer)} that is no mapping of JSON values."
        ) from None
    if len(whole) > MAX_ENTITY:
        raise ConfigurationError(
            f"The hook {name_of(asker)} answered with {len(whole):,} characters: an entity has at most {MAX_ENTITY:,}."
        )
    return entity


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
            raise ConfigurationError(f"The filter {name} of {name_of(filters)} is {_kind(value)}, and no function.")
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
        raise ConfigurationError(f"The hook {name_of(hook)} answered {_kind(answer)} instead of a mapping by name.")
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
            f"The global {name} of {name_of(hook)} is {_kind(value)}: neither a function nor JSON."
        ) from None


def templates(source: TemplateSource) -> TemplateSource:
    return CheckedTemplates(source)


def catalog(given: Catalog | None) -> Catalog | None:
    return None if given is None else CheckedCatalog(given)


def scorecards(given: Scorecards | None) -> Scorecards | None:
    return None if given is None else CheckedScorecards(given)
