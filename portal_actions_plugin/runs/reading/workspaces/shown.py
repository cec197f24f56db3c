"""The workspace of a run as people see it: its files without their secrets, whether the run is over or not."""

from __future__ import annotations

from dataclasses import dataclass

from portal_actions_plugin.errors import ConflictError, NotFoundError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import KeptFile, KeptWorkspace, TemplateRun
from portal_actions_plugin.runs.secrets.token_shapes import mask_tokens
from portal_actions_plugin.runs.workspaces import generations, travel
from portal_actions_plugin.runs.workspaces.generations import Generation
from portal_actions_plugin.runs.workspaces.handover import as_unavailable
from portal_actions_plugin.runs.workspaces.manifest import File, Manifest
from portal_actions_plugin.runs.workspaces.stores.opening import store
from portal_actions_plugin.storage.sessions import reading

_EXECUTABLE = 0o100


@dataclass(frozen=True, slots=True)
class Download:
    """A file for somebody's disk.

    Attributes:
        name: its own, without its folders.
        is_masked: whether it is not what the workspace has: secrets in it are masked.
    """

    name: str
    content: bytes
    is_masked: bool


def may_have_workspace(run: TemplateRun) -> bool:
    """Whether a step of a run uses a workspace: of those that are installed. Asks nothing of the database."""
    registry = extension().registry
    return any(registry.get(step.action).workspace for step in run.steps if step.action in registry)


def summary(run_id: str) -> KeptWorkspace | None:
    """How much a run's workspace holds, without its files; None when it has none."""
    with reading() as db:
        return generations.summary(db, run_id)


def listing(run_id: str, after: int, limit: int) -> KeptWorkspace:
    """Some files of a run's workspace.

    Args:
        run_id: the template run.
        after: how many come before them.
        limit: how many at most.

    Raises:
        NotFoundError: it has none.
        ConfigurationError: no key opens it any more.
    """
    generation = _newest(run_id)
    files = _shown(generation.manifest)
    some = files[after : after + limit]
    following = after + limit
    assert generation.made_at is not None  # noqa: S101 it has a row
    return KeptWorkspace(
        run_id,
        tuple(some),
        generation.files,
        generation.size,
        generation.made_at,
        generation.emptied_at,
        following if following < len(files) else None,
    )


def download(run_id: str, path: str) -> Download:
    """A file of a run's workspace, without the secrets that the run knew of, and without what looks like a token.

    Args:
        run_id: the template run.
        path: as ``listing`` has it.

    Raises:
        NotFoundError: there is no such file, or no workspace.
        ConflictError: the workspace is gone, or the file has secrets in it that cannot be taken out.
        ConfigurationError: no key opens it, or it is kept in another store.
        UnavailableError: the store does not answer.
    """
    generation = _newest(run_id)
    travel.require_here(generation, store())
    file = next((one for one in generation.manifest.files if _path(generation.manifest, one.path) == path), None)
    if file is None:
        raise NotFoundError(
            f"There is no file {path[:200]} in this workspace.", hint="The listing has those that there are."
        )
    if file.masked == "":
        raise ConflictError(
            "This file is no text, and a secret of the run is in it: it is not given away.",
            hint="Let the step that makes it keep the secret out of it, or write it into a file of its own.",
        )
    content = _content(generation, file)
    masked = _without_tokens(content)
    return Download(path.rpartition("/")[2], masked, file.masked is not None or masked != content)


def _newest(run_id: str) -> Generation:
    with reading() as db:
        generation = generations.newest(db, run_id, extension().config.secret_keys)
    if not generation.number:
        raise no_workspace()
    return generation


def no_workspace() -> NotFoundError:
    """The error for a run without a workspace, and for one whose workspace somebody may not see."""
    return NotFoundError(
        "This run has no workspace.",
        hint="One is kept while a run is at work, and for a while after it has failed or was canceled.",
    )


def _content(generation: Generation, file: File) -> bytes:
    with as_unavailable():
        [(_, content)] = travel.read(generation, store(), [file.masked or file.name])
    return content


def _without_tokens(content: bytes) -> bytes:
    try:
        return mask_tokens(content.decode()).encode()
    except UnicodeDecodeError:
        return content


def _shown(manifest: Manifest) -> list[KeptFile]:
    """Its files and links in the order of their paths, as people see these."""
    found = [
        KeptFile(_path(manifest, one.path), one.size, bool(one.mode & _EXECUTABLE), one.masked is not None)
        for one in manifest.files
    ]
    found += [KeptFile(_path(manifest, path), 0, link_to=_path(manifest, target)) for path, target in manifest.links]
    return sorted(found, key=lambda one: one.path)


def _path(manifest: Manifest, path: str) -> str:
    return mask_tokens(manifest.shown.get(path, path))
