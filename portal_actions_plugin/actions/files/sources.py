"""What a ``url`` of an action leads to: files beside the template, or in a repository of a forge that the portal knows."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from portal_actions_plugin.actions.files.disk import MAX_BYTES, MAX_FILES, wrong
from portal_actions_plugin.errors import ConfigurationError, NotFoundError, RemoteError
from portal_actions_plugin.scm.base import RepoFile, RepoRef

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.settings.forge_addresses import PageAddress

FIELD = "url"
_HINT = (
    "Write a path that begins beside the template, such as ./skeleton, or the address of a folder at a forge, such as "
    "https://github.com/acme/skeletons/tree/main/service."
)


def fetched(ctx: ActionContext, url: str) -> Sequence[RepoFile]:
    """Read the files that a ``url`` leads to.

    Args:
        ctx: of the run: beside its template, and with the credentials of its portal.
        url: a path such as ``./skeleton``, or the page of a folder, a file or a repository at a forge.

    Returns:
        The files and links of the folder, by path; of a file, that one alone by its name.

    Raises:
        ValidationError: it is an address of no forge that this portal knows, or of too much.
        NotFoundError: nothing is there, or the portal's credential may not see it.
        ActionError: the forge says no.
    """
    if "://" not in url:
        return [RepoFile(one.path, one.content, one.executable) for one in ctx.skeleton(url)]
    page = ctx.forge_addresses.page(url)
    if page is None:
        known = ", ".join(ctx.forge_addresses.hosts)
        raise wrong(
            FIELD,
            f"{url[:200]!r} is no folder or file of a forge that this portal knows: {known}.",
            _HINT,
        )
    return _of_forge(ctx, page)


def one_file(ctx: ActionContext, url: str) -> RepoFile:
    """Read the one file that a ``url`` leads to; as ``fetched``, and raises ValidationError for a folder."""
    found = fetched(ctx, url)
    name = posixpath.basename(unquote(url.partition("?")[0]).rstrip("/"))
    if len(found) != 1 or found[0].path != name:
        raise wrong(FIELD, f"{url[:200]!r} is a folder: name a file in it.", "Use fetch:plain to take a folder.")
    return found[0]


def _of_forge(ctx: ActionContext, page: PageAddress) -> Sequence[RepoFile]:
    from portal_actions_plugin.scm.reading import Bounds, read_files
    from portal_actions_plugin.scm.remote.git_access import ReadByApi, ReadByGit

    scm = ctx.scm(page.provider)
    ref = RepoRef(page.provider, page.owner, page.repo, "")
    where = "/".join(filter(None, (page.ref, page.path)))
    access = None
    if isinstance(scm, ReadByGit):
        address = ctx.forge_addresses.git_url(page)
        try:
            access = scm.git_access(ref)
        except ConfigurationError:
            ctx.log(f"this portal has no credential for {ref.full_name}: it is read as everybody may read it")
    else:
        address = scm.get_repo(page.owner, page.repo).clone_url
    bounds = Bounds(MAX_FILES, MAX_BYTES)
    try:
        files = read_files(address, where, bounds, access=access)
    except (NotFoundError, RemoteError) as error:
        if access is None or not isinstance(scm, ReadByApi):
            raise
        try:
            files = scm.files_by_api(ref, where, bounds)
        except (NotFoundError, RemoteError):
            raise error from None
        ctx.log(f"git does not give {ref.full_name}, and the API does")
    ctx.log(f"read {len(files)} files of {ref.full_name}{f' at {where}' if where else ''}")
    return files
