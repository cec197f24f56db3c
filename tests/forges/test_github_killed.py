"""A process that dies between any two requests to GitHub leaves nothing that the next attempt makes a second time."""

from __future__ import annotations

from typing import Any

import pytest

from portal_actions_plugin.http_client.messages import Request
from portal_actions_plugin.scm.base import FileChange, Protection, Variable, WebhookSpec
from portal_actions_plugin.scm.remote.answers import READS
from portal_actions_plugin.scm.remote.transport import Transport
from tests.support.forges.github_opened import OpenedGitHub

WORKFLOW = b"on:\n  workflow_dispatch:\n"
FILES = [
    FileChange("README.md", b"# Shop\n"),
    FileChange("logo.png", b"\x89PNG\0"),
    FileChange(".github/workflows/ci.yml", WORKFLOW),
]


class KilledError(BaseException):
    """The process is gone: nothing of ours runs any more, as after ``kill -9``."""


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let the process die twice for each write: right before it goes out, and when GitHub has done what it asks for.

    Reads change nothing, so whoever dies beside one leaves what a death at the next write leaves. Before a dispatch it does
    not die: that run is never asked for again, which is an error that says where to look.
    """
    exchange, deaths = Transport.exchange, []

    def dying(self: Transport, request: Request, *args: Any) -> Any:
        name = f"{request.method} {request.target.path}"
        if request.method not in READS and f"before {name}" not in deaths and not name.endswith("/dispatches"):
            deaths.append(f"before {name}")
            raise KilledError
        answer = exchange(self, request, *args)
        if request.method not in READS and f"after {name}" not in deaths:
            deaths.append(f"after {name}")
            raise KilledError
        return answer

    monkeypatch.setattr(Transport, "exchange", dying)
    return deaths


def create_service(github: OpenedGitHub, *, init_with_readme: bool) -> None:
    """What the template does, and the actions around it, as one attempt: each step opens the provider anew."""

    def scm() -> Any:
        return github.provider()

    ref = (
        scm()
        .create_repo(
            "acme", "shop", visibility="private", description="", init_with_readme=init_with_readme, claim="c1"
        )
        .ref
    )
    scm().put_files(ref, ref.default_branch, FILES, "Add the skeleton", base_branch=ref.default_branch)
    scm().put_files(ref, "topic", [FileChange("more.md", b"more\n")], "More", base_branch=ref.default_branch)
    scm().open_pull(ref, head="topic", base=ref.default_branch, title="More", body="")
    scm().ensure_webhook(ref, WebhookSpec("https://hooks.example.org/a", ("push",), "s3cret"))
    scm().protect_branch(ref, ref.default_branch, Protection(1, ("build",)))
    scm().set_topics(ref, ["go"])
    scm().set_variable(ref, Variable("TOKEN", "hush"))
    scm().create_issue(ref, title="Fix", body="", labels=["bug"], assignees=[], claim="c1")
    scm().dispatch_workflow(ref, workflow="ci.yml", branch=ref.default_branch, inputs={}, claim="c1")


@pytest.mark.parametrize("init_with_readme", [False, True])
def test_whenever_it_dies_nothing_is_there_twice(
    github_com: OpenedGitHub, deaths: list[str], quick_look_ups, init_with_readme: bool
) -> None:
    github = github_com.as_token(github_com.double.classic_token("mona", "repo", "workflow").token)
    while True:
        try:
            create_service(github, init_with_readme=init_with_readme)
            break
        except KilledError:
            """The next attempt of the same run."""
    assert len(deaths) == 2 * (13 + init_with_readme) - 1
    double = github.double
    assert double.repositories() == ["acme/shop"]
    assert set(double.branches("acme/shop")) == {"main", "topic"}
    assert len(double.commits("acme/shop", "main")) == 1 + init_with_readme
    assert len(double.commits("acme/shop", "topic")) == 2 + init_with_readme
    assert len(double.pulls("acme/shop")) == 1
    (hook,) = double.hooks("acme/shop")
    assert hook.secret == "s3cret"
    repository = double.repository("acme/shop")
    assert len(repository.issues) == 1
    assert len(repository.runs) == 1
    assert (repository.topics, repository.secrets) == (["go"], {"TOKEN": "hush"})
    assert "main" in repository.protections
    writes = len(double.log.writes())
    create_service(github, init_with_readme=init_with_readme)
    again = [str(one) for one in double.log.writes()[writes:]]
    assert all("/actions/secrets/" in one for one in again), again  # a secret cannot be compared, so it is set
