"""Issues and labels. An issue of ours is known again by a mark in its text, which GitHub's pages do not show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ConflictError, RemoteError
from portal_actions_plugin.scm.base import Issue
from portal_actions_plugin.scm.github.client import RepoApi
from portal_actions_plugin.scm.remote.fields import at, maybe_text, number, objects, text
from portal_actions_plugin.scm.remote.intents import Intents
from portal_actions_plugin.scm.remote.lost_answers import look_for, write_again, write_once
from portal_actions_plugin.scm.remote.new_issue import NewIssue

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.remote.fields import JsonObject


def create_issue(repo: RepoApi, new: NewIssue) -> Issue:
    """Open an issue, or return the one that the same claim has opened before."""
    intents = Intents(repo.api.opening.notes, f"github.createIssue.{new.fingerprint}.{repo.name.lower()}")
    if (known := at(intents.made, "number")) is not None:
        return _issue(repo.send("GET", f"/issues/{known}").object())
    sent = intents.open()
    if sent and (there := look_for(lambda: _find(repo, new, text(sent[0], "since")))) is not None:
        return _kept(intents, there)
    if not sent:
        intents.add({"since": _since(repo)})
    found = _write(repo, new, text(intents.open()[0], "since"))
    _say_dropped(repo, new, found)
    return replace(_kept(intents, found), fresh=True)


def _write(repo: RepoApi, new: NewIssue, since: str) -> JsonObject:
    body: dict[str, JsonValue] = {
        "title": new.title,
        "body": new.text,
        "labels": list(new.labels),
        "assignees": list(new.assignees),
    }
    if new.milestone is not None:
        body["milestone"] = new.milestone
    return write_once(
        lambda: repo.send("POST", "/issues", body=body).object(),
        lambda: _find(repo, new, since),
        log=repo.api.opening.log,
    )


def _kept(intents: Intents, found: JsonObject) -> Issue:
    intents.keep_made({"number": number(found, "number")})
    return _issue(found)


def _since(repo: RepoApi) -> str:
    """Since when an issue of ours can be there, by GitHub's clock; raises ConflictError where there are no issues."""
    now = repo.send("GET", "")
    if at(now.object(), "has_issues") is False:
        raise ConflictError(
            f"Issues are switched off in {repo.name}.", hint="An administrator of the repository can switch them on."
        )
    if now.at is None:
        raise RemoteError(f"{now.api} does not say what time it is, which is needed to know an issue again.")
    return now.at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _find(repo: RepoApi, new: NewIssue, since: str) -> JsonObject | None:
    """The issue with our mark, among those that anything has happened to since."""
    query = {"state": "all", "since": since, "sort": "created", "direction": "desc"}
    issues = repo.pages("/issues", query=query, what="the issues")
    return next((issue for issue in issues if new.mark in (maybe_text(issue, "body") or "")), None)


def _say_dropped(repo: RepoApi, new: NewIssue, found: JsonObject) -> None:
    """Warn of what GitHub leaves out without a word: labels and assignees of who has no push access, "Create an issue"."""
    kinds = {
        "labels": (new.labels, (maybe_text(label, "name") for label in objects(found, "labels"))),
        "assignees": (new.assignees, (maybe_text(one, "login") for one in objects(found, "assignees"))),
        "the milestone": (_named(new.milestone), _named(at(found, "milestone", "number"))),
    }
    for kind, (wanted, given) in kinds.items():
        if dropped := _missing(wanted, given):
            repo.api.opening.warn(
                f"GitHub has left out {kind} of #{number(found, 'number')} in {repo.name}: {', '.join(dropped)}. The "
                "portal's account needs push access for them, and an assignee access to the repository."
            )


def _named(milestone: JsonValue) -> tuple[str, ...]:
    return () if milestone is None else (str(milestone),)


def label_issue(repo: RepoApi, issue: int, labels: Sequence[str]) -> tuple[str, ...]:
    """Add labels to an issue or pull request; returns which were missing."""
    there = repo.pages(f"/issues/{issue}/labels", what=f"the labels of #{issue}")
    missing = _missing(dict.fromkeys(labels), (maybe_text(label, "name") for label in there))
    if missing:
        body: JsonValue = {"labels": list(missing)}
        write_again(lambda: repo.send("POST", f"/issues/{issue}/labels", body=body), log=repo.api.opening.log)
    return missing


def _missing(wanted: Iterable[str], there: Iterable[str | None]) -> tuple[str, ...]:
    """What is not there yet; GitHub takes no notice of case in labels and logins."""
    known = {name.casefold() for name in there if name}
    return tuple(name for name in wanted if name.casefold() not in known)


def _issue(found: JsonObject) -> Issue:
    labels = (maybe_text(label, "name") for label in objects(found, "labels"))
    return Issue(
        number(found, "number"), text(found, "html_url"), text(found, "title"), tuple(name for name in labels if name)
    )
