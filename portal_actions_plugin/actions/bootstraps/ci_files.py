"""A pipeline that builds and tests on every change, for GitHub Actions or GitLab CI."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from portal_actions_plugin.actions.bootstraps.yaml_text import yaml_text
from portal_actions_plugin.scm.base import FileChange

if TYPE_CHECKING:
    from collections.abc import Mapping

PATHS = {"github-actions": ".github/workflows/ci.yml", "gitlab-ci": ".gitlab-ci.yml"}
"""Where each type of pipeline lies."""

_MINUTES = 30


@dataclass(frozen=True, slots=True)
class Toolchain:
    """How a language is built and tested.

    Attributes:
        image: of a container that has its tools.
        setup: the action that installs them on a runner of GitHub.
        setup_with: that action's inputs.
        build: the usual command.
        test: the usual command.
    """

    image: str
    setup: str
    setup_with: Mapping[str, str] = field(default_factory=dict)
    build: str = ""
    test: str = ""


TOOLCHAINS = {
    "go": Toolchain("golang:1", "actions/setup-go@v6", {"go-version": "stable"}, "go build ./...", "go test ./..."),
    "java": Toolchain(
        "maven:3-eclipse-temurin-21",
        "actions/setup-java@v5",
        {"distribution": "temurin", "java-version": "21"},
        "mvn --batch-mode -DskipTests package",
        "mvn --batch-mode verify",
    ),
    "node": Toolchain(
        "node:lts",
        "actions/setup-node@v5",
        {"node-version": "lts/*"},
        "npm ci\nnpm run build --if-present",
        "npm test",
    ),
    "python": Toolchain(
        "python:3.13",
        "actions/setup-python@v6",
        {"python-version": "3.13"},
        "python -m pip install .",
        "python -m pip install pytest\npython -m pytest",
    ),
}
"""By language."""


def pipeline(kind: str, language: str, *, branch: str, build: str | None, test: str | None) -> FileChange:
    """The file of a pipeline.

    Args:
        kind: one of ``PATHS``.
        language: one of ``TOOLCHAINS``.
        branch: the default branch, whose pushes it runs on, as on every proposal to merge.
        build: the command that builds; None for the language's usual one.
        test: the command that tests; None for the language's usual one.
    """
    usual = TOOLCHAINS[language]
    tools = replace(usual, build=build or usual.build, test=test or usual.test)
    text = _github(tools, branch) if kind == "github-actions" else _gitlab(tools)
    return FileChange(PATHS[kind], text.encode())


def _github(tools: Toolchain, branch: str) -> str:
    return yaml_text(
        {
            "name": "CI",
            "on": {"push": {"branches": [branch]}, "pull_request": {}},
            "permissions": {"contents": "read"},
            "concurrency": {"group": "${{ github.workflow }}-${{ github.ref }}", "cancel-in-progress": True},
            "jobs": {
                "build": {
                    "runs-on": "ubuntu-latest",
                    "timeout-minutes": _MINUTES,
                    "steps": [
                        {"uses": "actions/checkout@v5"},
                        {"uses": tools.setup, "with": dict(tools.setup_with)},
                        {"name": "Build", "run": tools.build},
                        {"name": "Test", "run": tools.test},
                    ],
                }
            },
        }
    )


def _gitlab(tools: Toolchain) -> str:
    return yaml_text(
        {
            "workflow": {
                "rules": [
                    {"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'},
                    {"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"},
                ]
            },
            # One job: what a job installs is not there in the next one.
            "build-and-test": {
                "image": tools.image,
                "timeout": f"{_MINUTES} minutes",
                "script": [tools.build, tools.test],
            },
        }
    )
