"""Doubles and emulators of forges, for every test that asks for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.forges import emulator
from tests.support.forges.emulator import EmulatedGitHub, node_programs

if TYPE_CHECKING:
    from tests.support.forges.github import GitHubDouble

_MISSING = "no emulator of GitHub"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = [str(one.longrepr) for one in terminalreporter.stats.get("skipped", ())]
    reasons = {text.partition(_MISSING)[2] for text in skipped if _MISSING in text}
    if reasons:
        terminalreporter.section("TESTS AGAINST THE EMULATOR OF GITHUB SKIPPED", sep="!", red=True, bold=True)
        terminalreporter.line("\n".join(sorted(reasons)), red=True)


@pytest.fixture
def hub() -> Iterator[GitHubDouble]:
    """The double of GitHub, with ada, who is an administrator of the organisation acme, and bob, a member."""
    from tests.support.forges.github import GitHubDouble

    with GitHubDouble() as double:
        double.add_user("ada")
        double.add_user("bob")
        double.add_organization("acme", ada="admin", bob="member")
        yield double


@pytest.fixture(scope="session")
def node_packages() -> None:
    """Node, emulate and prism. Without them the tests that need them are skipped, loudly; with CI set they fail."""
    try:
        node_programs.install()
    except node_programs.NotToBeHadError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{_MISSING}: {error}")


@pytest.fixture(scope="session")
def running_emulator(node_packages: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedGitHub]:
    with emulator.github(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture
def emulated_github(running_emulator: EmulatedGitHub) -> Iterator[EmulatedGitHub]:
    """The emulator, the same one for all tests: each takes names of its own. A test whose requests are not as GitHub's
    description says fails at its end.
    """
    before = len(running_emulator.proxy.violations())
    yield running_emulator
    assert [str(one) for one in running_emulator.proxy.violations()[before:]] == []
