"""``catalog:register``, ``catalog:write`` and ``catalog:fetch``, over the catalog of the host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    written_ref,
)
from portal_actions_plugin.actions.bootstraps.yaml_text import yaml_text
from portal_actions_plugin.actions.files.disk import Writer, disk_errors
from portal_actions_plugin.actions.files.fields import HomeInput
from portal_actions_plugin.actions.registry import action
from portal_actions_plugin.actions.scm_fields import optional_text
from portal_actions_plugin.errors import (
    ActionError,
    ConfigurationError,
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
_MAX_REFS = 500
_SOURCE_TEMPLATE = "backstage.io/source-template"
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
        ref = None
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
        ctx.recorder.ensure_ours()
        answer = register_location(url, is_optional)
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


class CatalogWrite(HomeInput):
    file_path = optional_text("Where in the workspace. Default: catalog-info.yaml.", data_key="filePath")
    entity = fields.Dict(
        required=True,
        keys=fields.String(),
        metadata={"description": "The entity, as it stands in the file: apiVersion, kind, metadata and spec."},
    )


@action(
    "catalog:write",
    title="Write an entity for the catalog",
    description="Write an entity into a file of the workspace, as catalog:register reads it.",
    input=CatalogWrite,
    idempotent=True,
    timeout=30,
    workspace="writes",
)
def catalog_write(ctx: ActionContext, *, file_path: str | None, entity: Mapping[str, Any]) -> None:
    """Write an entity into a file, with the template that it comes from as an annotation."""
    name = file_path or "catalog-info.yaml"
    file = ctx.workspace.path(name, "filePath")
    if file == ctx.workspace.folder or file.is_dir():
        message = f"{name[:200]!r} is a folder of the workspace."
        raise ValidationError(message, fields={"filePath": [message]})
    try:
        content = yaml_text(_with_template(ctx, entity)).encode()
    except RecursionError:
        message = "It is nested too deeply."
        raise ValidationError(f"entity: {message}", fields={"entity": [message]}) from None
    with disk_errors("filePath", name):
        if file.is_symlink():  # it would lead what is written somewhere else
            file.unlink()
    Writer(ctx.workspace, "filePath").write(name, content)
    ctx.log(f"wrote {name}")


def _with_template(ctx: ActionContext, entity: Mapping[str, Any]) -> dict[str, Any]:
    given = entity.get("metadata")
    if ctx.run.template is None or not isinstance(given, Mapping | None):
        return dict(entity)
    metadata = dict(given or {})
    annotations = metadata.get("annotations")
    named = dict(annotations) if isinstance(annotations, Mapping) else {}
    named.setdefault(_SOURCE_TEMPLATE, f"template:default/{ctx.run.template}".lower())
    return {**entity, "metadata": {**metadata, "annotations": named}}


class CatalogFetch(HomeInput):
    entity_ref = optional_text("The entity, such as component:default/orders.", data_key="entityRef")
    entity_refs = fields.List(
        fields.String(),
        data_key="entityRefs",
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=_MAX_REFS),
        metadata={"description": "Instead: several entities."},
    )
    optional = fields.Boolean(
        load_default=False, allow_none=True, metadata={"description": "Whether an entity may be missing: it is null."}
    )
    default_kind = optional_text("The kind of references that name none.", data_key="defaultKind")
    default_namespace = optional_text("The namespace of references that name none.", data_key="defaultNamespace")

    @validates_schema
    def check_refs(self, data: dict[str, Any], **_options: object) -> None:
        if not data.get("entity_ref") and data.get("entity_refs") is None and not data.get("optional"):
            raise SchemaError("Give either entityRef or entityRefs.", "entityRef")


class CatalogFetchOutput(Schema):
    entity = fields.Raw(allow_none=True, metadata={"description": "The entity of entityRef."})
    entities = fields.List(fields.Raw(allow_none=True), metadata={"description": "The entities of entityRefs."})


@action(
    "catalog:fetch",
    title="Read from the catalog",
    description="Read entities of the catalog by their references.",
    input=CatalogFetch,
    output=CatalogFetchOutput,
    idempotent=True,
    timeout=60,
)
def catalog_fetch(
    ctx: ActionContext,
    *,
    entity_ref: str | None,
    entity_refs: Sequence[str] | None,
    optional: bool,
    default_kind: str | None,
    default_namespace: str | None,
) -> dict[str, Any]:
    """Read one entity, or several. One that is missing is an error, unless it is optional."""
    found: dict[str, Any] = {}
    if entity_ref:
        ref = written_ref(entity_ref, default_kind, default_namespace, "entityRef")
        found["entity"] = _entity(ctx, ref, bool(optional))
    if entity_refs is not None:
        refs = [written_ref(ref, default_kind, default_namespace, "entityRefs") for ref in entity_refs]
        found["entities"] = [_entity(ctx, ref, bool(optional)) for ref in refs]
    return found


def _entity(ctx: ActionContext, ref: str, is_optional: bool) -> Mapping[str, Any] | None:  # noqa: FBT001 as the input has it
    get_entity = getattr(ctx.catalog, "get_entity", None)
    if get_entity is None:
        raise ConfigurationError(
            "This portal's catalog cannot be read: its hook has no get_entity(ref).",
            hint="Tell your platform team: the object that @plugin.catalog gives may have that method, which returns the "
            "entity or None.",
        )
    try:
        answer = get_entity(ref)
    except NotFoundError:
        answer = None
    if answer is None:
        if not is_optional:
            raise NotFoundError(
                f"The catalog has no entity {ref}.", hint="Correct the reference, or allow it with optional: true."
            )
        ctx.log(f"the catalog has no entity {ref}, which is allowed")
        return None
    if not isinstance(answer, Mapping):
        raise ConfigurationError(
            f"The catalog answered get_entity with a {type(answer).__name__}, not an entity or None.",
            hint="Tell your platform team.",
        )
    return dict(answer)
