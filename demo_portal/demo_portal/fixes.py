"""Fix: a failing rule becomes a pull request. The portal sends a signal; the plugin answers with the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from demo_portal import forge
from demo_portal.catalog import Entity
from demo_portal.portal import portal, this_app
from demo_portal.rules import Rule, Scorecard
from portal_actions_plugin import Identity
from portal_actions_plugin.errors import ConfigurationError, NotFoundError, ValidationError
from portal_actions_plugin.scm.base import PullRequest, RepoRef
from portal_actions_plugin.signals import scorecard_fix_requested

ACTION = "scm.openPrOrMr@v1"


@dataclass(frozen=True, slots=True)
class Fix:
    """The last fix that was asked for: its run, and whether that still goes on."""

    url: str
    status: str

    @property
    def active(self) -> bool:
        return self.status in ("queued", "running")


def request_fix(entity: Entity, scorecard: Scorecard, rule_id: str, who: Identity | None) -> str:
    """Ask for a rule to be fixed; the address of the run.

    Raises:
        PortalActionsError: the plugin refuses; it says why and what to do.
    """
    rule = scorecard.rule(rule_id)
    if rule is None or rule.fix is None:
        raise NotFoundError(f"{scorecard.title} has no rule {rule_id} that can be fixed.")
    answers = scorecard_fix_requested.send(
        this_app(),
        entity=entity.id,
        scorecard=scorecard.id,
        rule=rule.id,
        action=ACTION,
        input=_input(entity, rule),
        requested_by=who,
    )
    run = next((run for _, run in answers if run is not None), None)
    if run is None:
        raise ConfigurationError("No plugin of this portal answers to Fix.")
    with portal().store.writing() as db:
        db.execute(
            "INSERT INTO fixes VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (entity_id, scorecard, rule)"
            # A worker may have been faster than this line: what it said of this very run stays.
            " DO UPDATE SET url = excluded.url, status = iif(run_id = excluded.run_id, status, excluded.status),"
            " run_id = excluded.run_id",
            (entity.id, scorecard.id, rule.id, run.id, run.html_url, run.status),
        )
    return str(run.html_url)


def fix_ended(run: Any) -> None:
    """Keep how a fix ended; ``run`` carries the rule as its origin."""
    with portal().store.writing() as db:
        db.execute(
            "INSERT INTO fixes VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (entity_id, scorecard, rule)"
            # News of an older run may come late, and twice.
            " DO UPDATE SET url = excluded.url, status = excluded.status, run_id = excluded.run_id"
            " WHERE excluded.run_id >= run_id",
            (run.origin.entity, run.origin.scorecard, run.origin.rule, run.id, run.html_url, run.status),
        )


def last_fixes(entity: Entity, scorecard: Scorecard) -> dict[str, Fix]:
    """The last fix of each rule, by the rule's id."""
    with portal().store.reading() as db:
        rows = db.execute(
            "SELECT rule, url, status FROM fixes WHERE entity_id = ? AND scorecard = ?", (entity.id, scorecard.id)
        ).fetchall()
    return {row["rule"]: Fix(row["url"], row["status"]) for row in rows}


def proposals(entity: Entity, scorecard: Scorecard) -> dict[str, PullRequest]:
    """The open pull request that fixes a rule, by the rule's id."""
    try:
        pulls = forge.open_pulls(forge.find(entity.repository).ref)
    except (NotFoundError, ValidationError):
        return {}
    return {rule.id: pull for rule in scorecard.rules for pull in pulls if _is_branch_of(rule, pull.head)}


def _input(entity: Entity, rule: Rule) -> dict[str, Any]:
    repository = forge.find(entity.repository)
    assert rule.fix is not None  # noqa: S101 for the type checker
    file = rule.fix(entity)
    return {
        "repo": repository.ref.as_output(),
        "headBranch": _branch_for(repository.ref, rule),
        "title": f"Add {file.path}",
        "body": f"{rule.title}: {rule.why}\n\nProposed by the scorecard.",
        "files": [{"path": file.path, "content": file.content}],
    }


def _branch_for(ref: RepoRef, rule: Rule) -> str:
    """The branch of an open proposal, or one that is not there yet: an old one may hold what was merged long ago."""
    for pull in forge.open_pulls(ref):
        if _is_branch_of(rule, pull.head):
            return pull.head
    taken = {branch.name for branch in forge.open_forge().branches(ref)}
    name, number = f"fix/{rule.id}", 1
    while name in taken:
        number += 1
        name = f"fix/{rule.id}-{number}"
    return name


def _is_branch_of(rule: Rule, branch: str) -> bool:
    base = f"fix/{rule.id}"
    return branch == base or (branch.startswith(f"{base}-") and branch.removeprefix(f"{base}-").isdigit())
