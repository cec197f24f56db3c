"""``catalog:register``, over the catalog of the host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from marshmallow import Schema, fields, validate, validates_schema
from marshmallow import ValidationError as SchemaError

from portal_actions_plugin.actions.backstage.entity_files import (
    entities_in,
    ref_of,
    stands_for_all,
    taken,
)
from portal_actions_plugin.actions.files.fields import HomeInput
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.actions.scm_fields import optional_text
from portal_actions_plugin.errors import (
    ActionError,
    AuthError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    RateLimitedError,
    RemoteError,
    ValidationError,
)
from portal_actions_plugin.scm.base import Operation, RepoRef

if TYPE_CHECKING:
    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.run_types import Json
    from portal_actions_plugin.settings.forge_addresses import PageAddress

DEFAULT_PATH = "/catalog-info.yaml"
_MAX_FILES = 50
_URL = validate.Length(min=1, max=2_000)


class CatalogRegister(HomeInput):
    repo_contents_url = fields.String(
        data_key="repoContentsUrl",
        load_default=None,
        allow_none=True,
        validate=_URL,
        metadata={
            "description": "The page of a repository's files: the repoContentsUrl of publish:github.",
            "example": "${{ steps.publish.output.repoContentsUrl }}",
        },
    )
    catalog_info_url = optional_text("Instead: the address of the file.", data_key="catalogInfoUrl", validate=_URL)
    catalog_info_path = fields.String(
        data_key="catalogInfoPath",
        load_default=DEFAULT_PATH,
        validate=validate.Length(min=1, max=1_000),
        metadata={"description": "Where the file lies in the repository."},
    )
    optional = fields.Boolean(
        load_default=False,
        allow_none=True,
        metadata={"description": "Whether the file may be missing, or be registered already."},
    )

    @validates_schema
    def check_address(self, data: dict[str, Any], **_options: object) -> None:
        if not data.get("catalog_info_url") and not data.get("repo_contents_url"):
            raise SchemaError("Give either catalogInfoUrl or repoContentsUrl.", "catalogInfoUrl")


class CatalogRegisterOutput(Schema):
    entity_ref = fields.String(
        data_key="entityRef", metadata={"description": "The entity that the file is about, where it is known."}
    )
    catalog_info_url = fields.String(data_key="catalogInfoUrl", metadata={"description": "The address of the file."})


@action(
    "catalog:register",
    title="Register in the catalog",
    description="Register the entities of a file in a repository in the catalog.",
    input=CatalogRegister,
    output=CatalogRegisterOutput,
    idempotent=True,
    timeout=120,
    operations=(Operation.READ,),
)
def catalog_register(
    ctx: ActionContext,
    *,
    catalog_info_url: str | None,
    repo_contents_url: str | None,
    catalog_info_path: str,
    optional: bool,
) -> dict[str, Any]:
    """Register a location where the catalog takes one, else each entity of its file by itself."""
    if catalog_info_url:
        _require_plain(ctx, catalog_info_url)
    url = catalog_info_url or _file_url(ctx, repo_contents_url or "", catalog_info_path)
    try:
        ref = _registered(ctx, url, bool(optional))
    except (RateLimitedError, RemoteError, ConfigurationError):
        raise
    except ActionError as error:
        if not optional:
            raise
        ctx.log(f"{url} is not registered, which is allowed: {error.message}", level="warning")
        ref = _ref_in(ctx, url)
    return {"catalogInfoUrl": url, **({"entityRef": ref} if ref else {})}


def _file_url(ctx: ActionContext, contents_url: str, path: str) -> str:
    page = ctx.forge_addresses.page(contents_url)
    if page is None:
        raise _no_forge(ctx, contents_url, "repoContentsUrl")
    page = _with_ref(ctx, page)
    try:
        # A file of a folder, whether or not its address ends with a slash.
        found = page.joined(path if path.startswith("/") else f"/{page.path}/{path}")
    except ValueError as error:
        raise ValidationError(f"{error}.", fields={"catalogInfoPath": [f"{error}."]}) from None
    is_github = ctx.forge_addresses.installations[page.provider].kind == "github"
    return (replace(found, verb="tree") if is_github else found).url  # "tree" as at home: GitHub leads on from there


def _with_ref(ctx: ActionContext, page: PageAddress) -> PageAddress:
    """The same with a branch, where the address is the repository's own."""
    if page.ref:
        return page
    found = ctx.scm(page.provider).get_repo(page.owner, page.repo)
    is_gitlab = ctx.forge_addresses.installations[page.provider].kind == "gitlab"
    return replace(page, verb="blob", ref=found.ref.default_branch, is_dashed=is_gitlab)


def _no_forge(ctx: ActionContext, url: str, field: str) -> ValidationError:
    known = ", ".join(ctx.forge_addresses.hosts) or "none"
    message = f"{url[:200]} is no page of a forge of this portal, which are: {known}."
    return ValidationError(
        message,
        hint="Correct the address, or ask your platform team to set the forge up in PORTAL_ACTIONS_SCM.",
        fields={field: [message]},
    )


def _registered(ctx: ActionContext, url: str, is_optional: bool) -> str | None:  # noqa: FBT001 as the hook takes it
    catalog = ctx.catalog
    register_location = getattr(catalog, "register_location", None)
    if register_location is not None:
        is_first = _is_first(ctx, url)
        ctx.recorder.ensure_ours()
        try:
            answer = register_location(url, is_optional)
        except ConflictError:
            if is_first:
                raise
            ctx.log(f"{url} is registered: an earlier attempt of this run, or a run that it retries, has asked for it")
            return _ref_in(ctx, url)
        if answer is not None and not isinstance(answer, str):
            raise ConfigurationError(
                f"The catalog answered register_location with a {type(answer).__name__}, not a reference or None.",
                hint="Tell your platform team: it returns the entity that the location is about.",
            )
        ctx.log(f"registered {url}{f': {answer}' if answer else ''}")
        return answer
    found: list[tuple[dict[str, Json], str]] = list(_read(ctx, url))
    for entity, source in found:
        ctx.recorder.ensure_ours()
        entity_id = catalog.register_entity(taken(entity, source), source)
        ctx.log(f"registered {ref_of(entity)} as {entity_id}")
    return ref_of(stands_for_all([entity for entity, _ in found])) if found else None


def _is_first(ctx: ActionContext, url: str) -> bool:
    """Whether nobody has asked the catalog for this address yet, of this run and those that it retries."""
    asked: list[bool] = []

    def note() -> bool:
        asked.append(True)
        return True

    ctx.checkpoint("registerLocation", note, of=(url,))
    return bool(asked)


def _ref_in(ctx: ActionContext, url: str) -> str | None:
    """The entity that a file is about, which the catalog has already; None where that cannot be read."""
    with suppress(AuthError, ConfigurationError, ConflictError, NotFoundError, ValidationError):
        if found := [entity for entity, _ in _read(ctx, url)]:
            return ref_of(stands_for_all(found))
    return None


def _read(ctx: ActionContext, url: str) -> Iterator[tuple[dict[str, Json], str]]:
    """The entities of a file, and of those that a Location in it names, each with the address of its file."""
    waiting, seen = [url], {url}
    while waiting:
        address = waiting.pop(0)
        page = ctx.forge_addresses.page(address)
        if page is None or not page.path:
            raise _no_forge(ctx, address, "catalogInfoUrl")
        for entity in entities_in(_content(ctx, page), address):
            if entity.get("kind") != "Location":
                yield entity, address
                continue
            for target in _targets(entity):
                found = _target(page, target)
                if found not in seen:
                    seen.add(found)
                    waiting.append(found)
        if len(seen) > _MAX_FILES:
            raise ValidationError(f"{url} leads to more than {_MAX_FILES} files.", hint="Register fewer of them.")


def _content(ctx: ActionContext, page: PageAddress) -> bytes:
    ref = RepoRef(page.provider, page.owner, page.repo, page.ref)
    found = ctx.scm(page.provider).read_file(ref, page.ref, page.path)
    if found is None:
        raise NotFoundError(
            f"There is no file {page.path} on {page.ref} of {ref.full_name}.",
            hint="Write it in a step before, with catalog:write or fetch:template, or allow that it is missing with "
            "optional: true.",
        )
    return found[0]


def _targets(entity: Mapping[str, Json]) -> list[str]:
    spec = entity.get("spec")
    given = spec if isinstance(spec, Mapping) else {}
    several, one = given.get("targets"), given.get("target")
    named = [*(several if isinstance(several, list) else []), *([one] if one else [])]
    return [target for target in named if isinstance(target, str)]


def _target(page: PageAddress, target: str) -> str:
    if "://" in target:
        return target
    try:
        return page.joined(target).url
    except ValueError as error:
        raise ValidationError(f"A Location in {page.url} names a target that cannot be: {error}.") from None


def _require_plain(ctx: ActionContext, url: str) -> None:
    """Let through an address that a catalog may keep and fetch, and everybody may read."""
    try:
        found = urlsplit(url)
    except ValueError:
        found = urlsplit("")
    is_remote = found.scheme in ("http", "https") and bool(found.hostname)
    if not (is_remote or ctx.forge_addresses.page(url)) or "@" in found.netloc:
        message = "This is no address over https without a user and a password."
        raise ValidationError(
            f"catalogInfoUrl: {message}",
            hint="Write the address of the file's page at its forge; the catalog has a credential of its own.",
            fields={"catalogInfoUrl": [message]},
        )
