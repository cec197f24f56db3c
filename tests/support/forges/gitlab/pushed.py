"""What GitLab does by itself once a repository has changed, whichever way it did, and commits that tests make."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.forges.git_store import NO_COMMIT, Entry, Person
from tests.support.forges.gitlab.access import matching
from tests.support.forges.gitlab.state import Project, ProtectedBranch, State, User


def after_push(state: State, project: Project) -> None:
    """Set the default branch and protect it, when the first branch has come, and look at open merge requests again."""
    branches = project.repository.branches()
    if branches and project.default_branch not in branches:
        # The first branch of an empty repository becomes the default one:
        # docs.gitlab.com/user/project/repository/branches/default/
        project.default_branch = next(iter(branches))
        project.repository.set_default_branch(project.default_branch)
    if branches and not project.settled and not matching(project, project.default_branch):
        # "Fully protected" is what an instance begins with: docs.gitlab.com/user/project/repository/branches/default/
        # #protect-initial-default-branches. Nobody unprotects it for who unprotects it again.
        project.protected_branches.append(ProtectedBranch(state.next_id(), project.default_branch))
    project.settled = project.settled or bool(branches)
    for request in project.merge_requests:
        head = branches.get(request.source_branch)
        if request.state != "opened" or head is None:
            continue
        request.source_sha = head
        target = branches.get(request.target_branch)
        within = target is not None and project.repository.is_ancestor(head, target)
        if within and request.ahead:
            # What its target has got by a push is merged: docs.gitlab.com/user/project/merge_requests/#merge-request-states
            request.state, request.merged_at = "merged", state.now()
        request.ahead = not within


def seed(state: State, project: Project, user: User, files: Mapping[str, bytes], branch: str = "") -> str:
    """Make one commit of files on a branch, which begins at the default one when it is missing; returns the commit.

    No rule stops it: it is what somebody else has done meanwhile.
    """
    repository, branch = project.repository, branch or project.default_branch
    head = repository.head(branch)
    parent = head or repository.head(project.default_branch)
    blobs = repository.write_blobs(list(files.values()))
    entries = [Entry(path, "100644", "blob", blob) for path, blob in zip(files, blobs, strict=True)]
    with state.lock:
        tree = repository.write_tree(entries, parent)
        who = Person(user.name, user.email, state.now())
        commit = repository.write_commit(tree, [parent] if parent else [], "Somebody else's", author=who)
        assert repository.set_ref(f"refs/heads/{branch}", commit, head or NO_COMMIT), f"{branch} has moved meanwhile"
        after_push(state, project)
    return commit
