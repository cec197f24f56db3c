"""What actions on a repository do alike: find it by its reference, commit files to a branch, and tell what happened."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal_actions_plugin.actions.scm_operations import commits_to
from portal_actions_plugin.errors import ActionError, ValidationError
from portal_actions_plugin.scm.base import FileChange
from portal_actions_plugin.scm.optional import require

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from portal_actions_plugin.actions.context import ActionContext
    from portal_actions_plugin.host import SkeletonFile
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.base import CommitResult, Operation, RepoRef
    from portal_actions_plugin.scm.provider import ScmProvider

MAX_FAULTS = 20
"""Files of a skeleton that are told of when they cannot be rendered."""


@dataclass(frozen=True, slots=True)
class OpenRepo:
    """A repository that an action works on.

    Attributes:
        ctx: of the run that works on it.
        scm: its forge.
        ref: which one it is, with its default branch.
    """

    ctx: ActionContext
    scm: ScmProvider
    ref: RepoRef

    def commit(self, branch: str, changes: Sequence[FileChange], message: str, base_branch: str) -> CommitResult:
        """Make one commit of all changes, none when everything is there already, and write to the run's log which.

        Args:
            branch: where to; a missing one is made from ``base_branch``.
            changes: the files to write.
            message: the commit's.
            base_branch: what a missing branch is made from.

        Raises:
            ActionError: what the forge says; see ``ScmProvider.put_files``.
        """
        self.require(*sorted(commits_to(iter([change.path for change in changes]))))
        result = self.scm.put_files(self.ref, branch, changes, message, base_branch=base_branch)
        name = self.ref.full_name
        if result.created_from:
            self.ctx.log(f"branch {branch} of {name} created from {result.created_from}")
        if result.changed:
            self.ctx.log(f"one commit {result.sha[:7]} on {branch} of {name}: {_count(len(result.changed))}")
        else:
            self.ctx.log(f"no commit: {name} has this content already, at {result.sha[:7]}")
        return result

    def commit_to(self, branch: str | None, changes: Sequence[FileChange], message: str) -> CommitResult:
        """Make one commit of all changes to a branch, or to the default branch when None is given; see ``commit``."""
        return self.commit(branch or self.ref.default_branch, changes, message, self.ref.default_branch)

    def require(self, *operations: Operation) -> None:
        """Raise ConfigurationError, which names what is missing, unless the forge has these operations."""
        for operation in operations:
            require(self.scm, operation, self.ref.provider)

    def pull_name(self, number: int) -> str:
        """What people of this forge call a pull request: ``pull request #7``, or ``merge request !7``."""
        return f"{self.scm.pull_word} {'!' if self.scm.pull_word == 'merge request' else '#'}{number}"


@contextmanager
def branch_named(field: str | None) -> Iterator[None]:
    """Let an error of a provider name the field that the branch was given in, which it calls ``branch``; None for none."""
    try:
        yield
    except ActionError as error:
        if said := error.fields.get("branch"):
            others = {name: words for name, words in error.fields.items() if name != "branch"}
            error.fields = {**others, field: said} if field else others
        raise


def open_repo(ctx: ActionContext, repo: RepoRef, *operations: Operation) -> OpenRepo:
    """Open the repository of a reference, and ask its forge for the default branch where the reference has none.

    Args:
        ctx: of the run.
        repo: the reference.
        operations: what is going to be asked of the forge, which has to have them.

    Raises:
        ConfigurationError: the forge lacks an operation; names it.
        ActionError: the forge is unknown or not set up, or has no such repository.
    """
    scm = ctx.scm(repo.provider)
    for operation in operations:
        require(scm, operation, repo.provider)
    return OpenRepo(ctx, scm, repo if repo.default_branch else scm.get_repo(repo.owner, repo.repo).ref)


def rendered_skeleton(ctx: ActionContext, folder: str, values: Mapping[str, JsonValue]) -> list[FileChange]:
    """Render the files of a skeleton folder of the run's template, their paths and, where they are text, their content.

    Args:
        ctx: of the run.
        folder: as the step's input names it, such as ``./skeleton``.
        values: what expressions in the files see as ``values``.

    Raises:
        ConfigurationError: the run has no template, or its template has no files.
        ConflictError: a file was changed since the run started.
        ValidationError: expressions cannot be evaluated; names each file and line, of ``MAX_FAULTS`` at most.
    """
    faults: list[ValidationError] = []
    files: list[FileChange] = []
    for file in ctx.skeleton(folder):
        try:
            files.append(_rendered(file, values, folder))
        except ValidationError as error:
            faults.append(error)
            if len(faults) == MAX_FAULTS:
                break
    if faults:
        raise faults[0] if len(faults) == 1 else _together(faults, folder)
    ctx.log(f"rendered {_count(len(files))} of the skeleton {folder}")
    return files


def _together(faults: Sequence[ValidationError], folder: str) -> ValidationError:
    count = f"At least {MAX_FAULTS}" if len(faults) == MAX_FAULTS else str(len(faults))
    return ValidationError(
        f"{count} files of the skeleton {folder} cannot be rendered.",
        hint=faults[0].hint,
        fields={"skeleton": [fault.message for fault in faults]},
    )


def _rendered(file: SkeletonFile, values: Mapping[str, JsonValue], folder: str) -> FileChange:
    from portal_actions_plugin.software_templates.expressions.rendering import render_file

    where = f"{folder}/{file.path}"
    seen = {"values": values}
    path = render_file(file.path, seen, where)
    try:
        text = file.content.decode()
    except UnicodeDecodeError:
        return FileChange(path, file.content, file.executable)
    return FileChange(path, render_file(text, seen, where).encode(), file.executable)


def _count(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"
