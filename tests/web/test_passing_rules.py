"""The fix of a rule that passes by now is refused; what the host's scorecards cannot say refuses nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask

from portal_actions_plugin import PortalActions
from portal_actions_plugin.errors import ConflictError, NotFoundError
from portal_actions_plugin.run_types import Origin
from portal_actions_plugin.runs.scorecard_fixes import start_fix
from tests.support.people import Person
from tests.support.portal import PEOPLE

ORIGIN = {"entity": "component:default/orders", "scorecard": "production", "rule": "has-ci"}
FIX = {"input": {"message": "fix it"}, "origin": ORIGIN}
LOG = "/api/v1/actions/debug.log@v1/runs"


class Said:
    """Scorecards that answer with what a test wants, and remember what they were asked."""

    def __init__(self, results: object) -> None:
        self.results = results
        self.asked: list[tuple[str, str, bool]] = []

    def evaluate(self, entity_id: str, scorecard_id: str, force: bool) -> Mapping[str, Any]:
        self.asked.append((entity_id, scorecard_id, force))
        if isinstance(self.results, Exception):
            raise self.results
        return {"level": "gold", "results": self.results}


def scorecards(app: Flask, results: object) -> Said:
    said = Said(results)
    PortalActions().of(app).scorecards(said)
    return said


PASSES = [{"rule": "has-ci", "passes": True}]


@pytest.mark.fault("D21")
def test_the_fix_of_a_rule_that_passes_by_now_is_refused_and_starts_nothing(app: Flask, ada: Person) -> None:
    said = scorecards(app, PASSES)
    answer = ada.post(LOG, FIX)
    assert answer.status_code == 409
    assert "has-ci of component:default/orders passes by now" in answer.json["message"]
    assert said.asked == [("component:default/orders", "production", False)]
    with pytest.raises(ConflictError):
        start_fix(PEOPLE["ada"], Origin(**ORIGIN), action="debug.log@v1", template=None, data={"message": "fix it"})
    assert ada.get("/api/v1/action-runs").json["data"] == []


@pytest.mark.parametrize(
    "results",
    [
        [{"rule": "has-ci", "passes": False}],
        [{"rule": "has-readme", "passes": True}],
        [{"rule": "has-ci", "passes": "yes"}],
        ["has-ci"],
        {"has-ci": True},
        None,
        RuntimeError("the scorecards are away"),
        NotFoundError("there is no such scorecard"),
    ],
)
def test_whatever_else_the_scorecards_say_the_fix_starts(app: Flask, ada: Person, results: object) -> None:
    scorecards(app, results)
    assert ada.post(LOG, FIX).status_code == 202


def test_a_start_that_fixes_nothing_asks_no_scorecards(app: Flask, ada: Person) -> None:
    said = scorecards(app, PASSES)
    assert ada.post(LOG, {"input": {"message": "hello"}}).status_code == 202
    assert said.asked == []
