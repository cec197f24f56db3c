"""How many requests each duty takes at GitHub, the first time and when everything is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from portal_actions_plugin.scm.base import Collaborator, FileChange, Protection, Variable, WebhookSpec
from tests.support.forges.github_opened import OpenedGitHub, ref

SPEC = WebhookSpec("https://hooks.example.org/a", ("push",), "s3cret")
FILES = [FileChange("a.md", b"1\n"), FileChange("docs/b.md", b"2\n")]
PEOPLE = [Collaborator("ada", "read"), Collaborator("core", "write", is_team=True)]


def created(scm: Any) -> None:
    scm.create_repo("acme", "new", visibility="private", description="", init_with_readme=False, claim="c1")


def dispatched(scm: Any) -> None:
    scm.dispatch_workflow(ref(), workflow="ci.yml", branch="main", inputs={}, claim="c1")


@pytest.mark.parametrize(
    ("duty", "first", "again"),
    [
        (created, 4, 2),
        (lambda scm: scm.get_repo("acme", "shop"), 1, 1),
        (lambda scm: scm.branch_head(ref(), "main"), 1, 1),
        (lambda scm: scm.read_file(ref(), "main", "README.md"), 1, 1),
        (lambda scm: scm.put_files(ref(), "main", FILES[:1], "x"), 5, 2),
        (lambda scm: scm.put_files(ref(), "main", FILES, "x"), 5, 3),
        (lambda scm: scm.put_files(ref(), "new", FILES, "x", base_branch="main"), 6, 3),
        (lambda scm: scm.open_pull(ref(), head="topic", base="main", title="x", body=""), 2, 1),
        (lambda scm: scm.ensure_webhook(ref(), SPEC), 2, 1),
        (lambda scm: scm.protect_branch(ref(), "main", Protection()), 2, 1),
        (lambda scm: scm.set_topics(ref(), ["go"]), 2, 1),
        (lambda scm: scm.add_collaborators(ref(), PEOPLE), 5, 3),
        (lambda scm: scm.set_variable(ref(), Variable("A", "1", is_secret=False)), 2, 1),
        (lambda scm: scm.set_variable(ref(), Variable("A", "1")), 2, 2),
        (
            lambda scm: scm.create_issue(ref(), title="x", body="", labels=[], assignees=[], claim="c1"),
            2,
            1,
        ),
        (lambda scm: scm.label_issue(ref(), 1, ["bug"]), 2, 1),
        (dispatched, 3, 0),
    ],
)
def test_a_duty_takes_so_many_requests(
    github_com: OpenedGitHub, duty: Callable[[Any], None], first: int, again: int
) -> None:
    double = github_com.double
    double.add_user("ada")
    double.state.accounts["acme"].teams["core"] = {"mona"}
    files = {"README.md": "x\n", ".github/workflows/ci.yml": "on:\n  workflow_dispatch:\n"}
    double.add_repository("acme/shop", files)
    double.commit("acme/shop", "topic", {"t": "1\n"})
    double.commit("acme/shop", "other", {"o": "1\n"})
    github_com.provider().open_pull(ref(), head="other", base="main", title="The first", body="")
    counted = []
    for _ in range(2):
        double.log.clear()
        duty(github_com.provider())
        counted.append(len(double.log.entries()))
    assert counted == [first, again], github_com.requests()
