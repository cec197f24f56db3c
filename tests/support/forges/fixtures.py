"""The emulator of GitHub, for all tests of forges that want it."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.support.forges import node_programs

_MISSING = "no emulator of GitHub"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = [str(one.longrepr) for one in terminalreporter.stats.get("skipped", ())]
    reasons = {text.partition(_MISSING)[2] for text in skipped if _MISSING in text}
    if reasons:
        terminalreporter.section("TESTS AGAINST THE EMULATOR OF GITHUB SKIPPED", sep="!", red=True, bold=True)
        terminalreporter.line("\n".join(sorted(reasons)), red=True)


@pytest.fixture(scope="session")
def node_packages() -> None:
    """Node, emulate and prism. Without them the tests that need them are skipped, loudly; with CI set they fail."""
    try:
        node_programs.install()
    except node_programs.NotToBeHadError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{_MISSING}: {error}")
