"""Issues and labels: docs.gitlab.com/api/issues/

An issue of ours is known again by a mark in its text, which GitLab's pages do not show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ConflictError, NotFoundError, ValidationError
from portal_actions_plugin.scm.base import Issue
from portal_actions_plugin.scm.gitlab.client import ProjectApi
from portal_actions_plugin.scm.remote.fields import at, maybe_text, number, objects, text, texts
from portal_actions_plugin.scm.remote.lost_answers import write_again, write_once
from portal_actions_plugin.scm.remote.new_issue import NewIssue

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.remote.fields import JsonObject


def create_issue(repo: ProjectApi, new: NewIssue) -> Issue:
    """Open an issue, or return the one that the same claim has opened before."""
    if (known := _find(repo, new)) is not None:
        return _public(known)
    if at(repo.project.about, "issues_enabled") is False:
        raise ConflictError(
            f"Issues are switched off in {repo.name}.",
            hint="A Maintainer of the project can switch them on in Settings > General > Visibility.",
        )
    _check_labels(new.labels)
    body: JsonValue = {
        "title": new.title,
        "description": new.text,
        "labels": ",".join(new.labels),
        "assignee_ids": [_user(repo, name) for name in new.assignees],
    }
    made = write_once(
        lambda: repo.write("POST", "/issues", body=body).object(), lambda: _find(repo, new), log=repo.opening.log
    )
    _say_dropped(repo, new, made)
    return replace(_public(made), fresh=True)


def label_issue(repo: ProjectApi, issue: int, labels: Sequence[str]) -> tuple[str, ...]:
    """Add labels to an issue; returns which were missing. A label that the project has not is made."""
    _check_labels(labels)
    answer = repo.find(f"/issues/{issue}")
    if answer is None:
        raise NotFoundError(f"{repo.name} has no issue #{issue}.", hint="A merge request has another number: its own.")
    known = set(texts(answer.object(), "labels"))
    missing = tuple(one for one in dict.fromkeys(labels) if one not in known)
    if missing:
        body: JsonValue = {"add_labels": ",".join(missing)}
        write_again(lambda: repo.write("PUT", f"/issues/{issue}", body=body), log=repo.opening.log)
    return missing


def _find(repo: ProjectApi, new: NewIssue) -> JsonObject | None:
    """The issue with our mark, whatever its state: docs.gitlab.com/api/issues/#list-all-project-issues

    ``in`` lets GitLab look for the very text. Its full-text search would know nothing of what stands in a comment.
    """
    query = {"search": new.fingerprint, "in": "description", "author_username": repo.api.my_name}
    issues = repo.pages("/issues", query=query, what="the issues")
    return next((one for one in issues if new.mark in (maybe_text(one, "description") or "")), None)


def _user(repo: ProjectApi, name: str) -> int:
    user = repo.api.user_id(name)
    if user is None:
        message = f"GitLab has no user {name}."
        raise ValidationError(message, hint="Check the user name.", fields={"assignees": [message]})
    return user


def _check_labels(labels: Sequence[str]) -> None:
    if wrong := [one for one in labels if "," in one]:
        message = f"A label of GitLab's holds no comma: {wrong[0]!r}."
        raise ValidationError(message, fields={"labels": [message]})


def _say_dropped(repo: ProjectApi, new: NewIssue, made: JsonObject) -> None:
    """Warn of what GitLab leaves out without a word: a Guest's labels, and every assignee but one on the Free plan."""
    assigned = {maybe_text(one, "username") for one in objects(made, "assignees")}
    labelled = set(texts(made, "labels"))
    kinds = {
        "labels": [one for one in new.labels if one not in labelled],
        "assignees": [one for one in new.assignees if one not in assigned],
    }
    for kind, dropped in kinds.items():
        if dropped:
            repo.opening.warn(
                f"GitLab has left out {kind} of #{number(made, 'iid')} in {repo.name}: {', '.join(dropped)}. Labels need the "
                "Reporter role, and more than one assignee the Premium or Ultimate plan."
            )


def _public(found: JsonObject) -> Issue:
    return Issue(number(found, "iid"), text(found, "web_url"), text(found, "title"), texts(found, "labels"))
