"""What may be done to branches, and what follows from a change of one."""

from __future__ import annotations

from tests.support.forges.git_store import EMPTY_TREE, GitRepository
from tests.support.forges.github.state import Credential, Repository, State

WORKFLOWS = ".github/workflows/"


def protected(state: State, credential: Credential, repository: Repository, branch: str) -> str:
    """Why somebody may not write to a branch directly; empty when they may.

    docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-protected-branches/about-protected-branches:
    administrators are exempt unless "Do not allow bypassing the above settings" (enforce_admins) is set.
    """
    if repository.push_refusal and branch == repository.git.default_branch:
        # "About rulesets": they bind REST as they bind git.
        return f"Repository rule violations found\n\n{repository.push_refusal[1]}\n\n"
    rule = repository.protections.get(branch)
    if not rule:
        return ""
    is_admin = credential.kind != "installation" and state.role(credential.user, repository) == "admin"
    if is_admin and not rule.get("enforce_admins"):
        return ""
    if rule.get("lock_branch"):
        return "Cannot update this protected ref. The branch is locked."
    if rule.get("required_pull_request_reviews"):
        return "Changes must be made through a pull request."
    checks = rule.get("required_status_checks")
    if checks and (checks.get("contexts") or checks.get("checks")):
        names = checks.get("contexts") or [one["context"] for one in checks["checks"]]
        return f'Required status check "{names[0]}" is expected.'
    return ""


def changed_workflow(git: GitRepository, old: str | None, new: str | None) -> str:
    """The first workflow file that differs between two commits, either of which may be missing; empty for none."""
    if not new:
        return ""
    changed = git.changed_files(old or EMPTY_TREE, new)
    return next((path for path in changed if path.startswith(WORKFLOWS)), "")


def workflow_refusal(credential: Credential, path: str) -> str:
    """In the words that git shows: scopes-for-oauth-apps, ``workflow``."""
    if credential.kind == "installation":
        return f"refusing to allow a GitHub App to create or update workflow `{path}` without `workflows` permission"
    return f"refusing to allow a Personal Access Token to create or update workflow `{path}` without `workflow` scope"


def after_change(state: State, repository: Repository, *, was_empty: bool) -> None:
    """Let the default branch and the pull requests follow a change of refs.

    The first branch that is pushed to an empty repository becomes the default one when it has no branch of that name:
    docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-branches-in-your-repository/changing-the-default-branch
    """
    git, now = repository.git, state.clock.text()
    branches = git.branches()
    repository.pushed_at = now
    if was_empty and branches and git.default_branch not in branches:
        git.set_default_branch(next(iter(branches)))
    for pull in repository.pulls:
        if pull.state != "open":
            continue
        if pull.head not in branches or pull.base not in branches:
            pull.state, pull.closed_at = "closed", now
            continue
        pull.head_sha = branches[pull.head]
        base = branches[pull.base]
        if base != pull.base_sha and git.is_ancestor(pull.head_sha, base):
            # "Merging a pull request": one whose commits are in the base branch counts as merged.
            pull.state, pull.closed_at, pull.merged_at, pull.merge_sha = "closed", now, now, base
        pull.base_sha = base
