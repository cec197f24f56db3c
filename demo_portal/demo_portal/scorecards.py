"""Evaluating scorecards against the repositories as they are, and keeping the results."""

from __future__ import annotations

from dataclasses import dataclass

from demo_portal import catalog, forge
from demo_portal.portal import portal
from demo_portal.rules import PRODUCTION_READINESS, Rule, Scorecard
from demo_portal.store import now
from portal_actions_plugin.errors import NotFoundError

SCORECARDS = {PRODUCTION_READINESS.id: PRODUCTION_READINESS}


@dataclass(frozen=True, slots=True)
class Result:
    """How a rule came out. ``problem`` is None when it passes."""

    rule: Rule
    problem: str | None
    checked_at: str

    @property
    def passes(self) -> bool:
        return self.problem is None


@dataclass(frozen=True, slots=True)
class Report:
    """How an entity does on a scorecard."""

    scorecard: Scorecard
    results: tuple[Result, ...]

    @property
    def passing(self) -> int:
        return sum(result.passes for result in self.results)

    @property
    def level(self) -> str:
        return self.scorecard.level(self.passing)


def evaluate(entity_id: str, scorecard: Scorecard = PRODUCTION_READINESS) -> Report:
    """Look at the entity and its repository now, and keep what comes out."""
    entity = catalog.entity(entity_id)
    files = _files(entity)
    checked_at = now()
    results = tuple(Result(rule, _problem(rule, entity, files), checked_at) for rule in scorecard.rules)
    with portal().store.writing() as db:
        db.executemany(
            "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?)",
            [(entity.id, scorecard.id, result.rule.id, result.problem, checked_at) for result in results],
        )
    return Report(scorecard, results)


def evaluate_repository(repository: str) -> dict[str, Report]:
    """Look again at everything whose code is in a repository ``owner/name``, such as after a merge."""
    return {entity.name: evaluate(entity.id) for entity in catalog.in_repository(repository)}


def report(entity_id: str, scorecard: Scorecard = PRODUCTION_READINESS) -> Report:
    """The kept results; an entity that was never looked at is looked at now."""
    return kept(entity_id, scorecard) or evaluate(entity_id, scorecard)


def kept(entity_id: str, scorecard: Scorecard) -> Report | None:
    """The kept results, if there is one for each rule."""
    with portal().store.reading() as db:
        rows = db.execute(
            "SELECT rule, problem, checked_at FROM results WHERE entity_id = ? AND scorecard = ?",
            (entity_id, scorecard.id),
        ).fetchall()
    by_rule = {row["rule"]: row for row in rows}
    if any(rule.id not in by_rule for rule in scorecard.rules):
        return None
    results = (Result(rule, by_rule[rule.id]["problem"], by_rule[rule.id]["checked_at"]) for rule in scorecard.rules)
    return Report(scorecard, tuple(results))


def find(scorecard_id: str) -> Scorecard:
    """A scorecard by its id; raises NotFoundError."""
    try:
        return SCORECARDS[scorecard_id]
    except KeyError:
        known = ", ".join(SCORECARDS)
        raise NotFoundError(f"There is no scorecard {scorecard_id}.", hint=f"This portal has {known}.") from None


def _files(entity: catalog.Entity) -> frozenset[str] | None:
    """The paths on the default branch; None when there is no repository to look into."""
    try:
        return forge.files(entity.repository)
    except NotFoundError:
        return None


def _problem(rule: Rule, entity: catalog.Entity, files: frozenset[str] | None) -> str | None:
    if rule.fix and files is None:
        where = f"{entity.repository} is not on the forge" if entity.repository else "the catalog names no repository"
        return f"It cannot be checked: {where}."
    return rule.check(entity, files or frozenset())
