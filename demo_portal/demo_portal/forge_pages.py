"""The forge's pages: repositories, files, pull requests with their diffs, and Merge."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for

from demo_portal import diff, error_pages, forge, people, scorecards
from demo_portal.sign_in import require_sign_in
from portal_actions_plugin.errors import NotFoundError, PortalActionsError
from portal_actions_plugin.scm.base import Author, RepoRef, Repository

blueprint = Blueprint("forge", __name__, url_prefix="/forge")
blueprint.before_request(require_sign_in)

REPOSITORY = "/<owner>/<name>"
HISTORY = 10
LARGEST_SHOWN = 200_000


@blueprint.get("", endpoint="forge")
def list_repositories() -> str:
    return render_template("forge/list.html", owners=forge.repositories(), open_pulls=forge.open_pulls)


@blueprint.get("/<owner>")
def list_of_owner(owner: str) -> str:
    owners = {owner: forge.open_forge().list_repositories(owner)}
    return render_template("forge/list.html", owners=owners, open_pulls=forge.open_pulls)


@blueprint.get(REPOSITORY)
def repository(owner: str, name: str) -> str:
    found = _find(owner, name)
    opened = forge.open_forge()
    branches = opened.branches(found.ref)
    branch = request.args.get("branch") or found.ref.default_branch
    if branches and branch not in {known.name for known in branches}:
        raise NotFoundError(f"{owner}/{name} has no branch {branch}.", hint="It may have been removed.")
    files = opened.tree(found.ref, branch)
    readme = next((file.path for file in files if file.path.lower().startswith("readme")), None)
    content = opened.read_file(found.ref, branch, readme) if readme else None
    return render_template(
        "forge/repository.html",
        repository=found,
        branch=branch,
        branches=branches,
        files=files,
        commits=opened.log(found.ref, branch, HISTORY),
        pulls=forge.open_pulls(found.ref),
        readme=_text(content[0]) if content else None,
    )


@blueprint.get(f"{REPOSITORY}/blob/<path:rest>")
def blob(owner: str, name: str, rest: str) -> str:
    found = _find(owner, name)
    branch, path = _branch_and_path(found.ref, rest)
    content = forge.open_forge().read_file(found.ref, branch, path)
    if content is None:
        raise NotFoundError(
            f"The branch {branch} of {owner}/{name} has no file {path}.", hint="It may be on another branch."
        )
    text = _text(content[0])
    return render_template(
        "forge/blob.html", repository=found, branch=branch, path=path, size=len(content[0]), text=text
    )


@blueprint.get(f"{REPOSITORY}/pulls")
def pulls(owner: str, name: str) -> str:
    found = _find(owner, name)
    return render_template("forge/pulls.html", repository=found, pulls=forge.open_forge().list_pulls(found.ref))


@blueprint.get(f"{REPOSITORY}/pulls/<int:number>")
def pull(owner: str, name: str, number: int) -> str:
    found = _find(owner, name)
    opened = forge.open_forge()
    return render_template(
        "forge/pull.html",
        repository=found,
        pull=opened.get_pull(found.ref, number),
        files=diff.files(opened.diff(found.ref, number)),
        may_merge=people.may_merge(),
    )


@blueprint.get(f"{REPOSITORY}/issues/<int:number>")
def issue(owner: str, name: str, number: int) -> str:
    found = _find(owner, name)
    kept = forge.open_forge().get_issue(found.ref, number)
    return render_template("forge/issue.html", repository=found, issue=kept)


@blueprint.post(f"{REPOSITORY}/pulls/<int:number>/merge")
def merge(owner: str, name: str, number: int) -> Any:
    person = people.signed_in()
    if person is None or not people.may_merge():
        abort(403, "You may look at pull requests, but not merge them.")
    found = _find(owner, name)
    try:
        forge.open_forge(Author(person.name, person.email)).merge_pull(found.ref, number)
    except PortalActionsError as error:
        error_pages.notice(error)
    else:
        for entity, report in scorecards.evaluate_repository(found.ref.full_name).items():
            flash(f"The scorecard has looked again: {entity} passes {report.passing} of {len(report.results)} rules.")
    return redirect(url_for("forge.pull", owner=owner, name=name, number=number))


def _find(owner: str, name: str) -> Repository:
    return forge.open_forge().get_repo(owner, name)


def _branch_and_path(ref: RepoRef, rest: str) -> tuple[str, str]:
    """Where the branch ends and the path begins: both may have slashes."""
    for known in sorted(forge.open_forge().branches(ref), key=lambda known: len(known.name), reverse=True):
        if rest.startswith(f"{known.name}/"):
            return known.name, rest.removeprefix(f"{known.name}/")
    raise NotFoundError(f"{ref.full_name} has no branch that {rest} could be on.", hint="It may have been removed.")


def _text(content: bytes) -> str | None:
    """A file as text, or None when it is none, or too long to look at."""
    if len(content) > LARGEST_SHOWN or b"\0" in content:
        return None
    return content.decode(errors="replace")
