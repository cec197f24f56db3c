"""What tests of the shared client need: a scripted forge behind a real server, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from portal_actions_plugin.scm.base import Author
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.scm.remote import lost_answers, transport
from portal_actions_plugin.scm.remote.client import ForgeClient, Place
from portal_actions_plugin.settings.installations import Installation
from tests.support.forges.github import GitHubDouble
from tests.support.forges.github_opened import OpenedGitHub
from tests.support.forges.scripted import KeptPauses, ScriptedForge, client_of
from tests.support.forges.server import ForgeServer


@pytest.fixture
def scripted() -> ScriptedForge:
    return ScriptedForge()


@pytest.fixture
def forge_server(scripted: ScriptedForge) -> Iterator[ForgeServer]:
    with ForgeServer(scripted) as running:
        yield running
    transport.close_kept()


@pytest.fixture
def pauses() -> KeptPauses:
    return KeptPauses()


@pytest.fixture
def opening(pauses: KeptPauses) -> Opening:
    return Opening(Installation("forge", "scripted"), Author("Ada", "ada@example.org"), pauses=pauses)


@pytest.fixture
def client(forge_server: ForgeServer, opening: Opening) -> ForgeClient:
    return client_of(Place(f"{forge_server.url}/api"), opening)


@pytest.fixture
def github(tmp_path: Path) -> Iterator[OpenedGitHub]:
    """The provider ``github`` on an Enterprise Server's double: the organisation acme, and mona, who may do all in it."""
    with GitHubDouble(tmp_path, enterprise="3.17.4") as double:
        double.add_user("mona")
        double.add_organization("acme", mona="admin")
        yield OpenedGitHub(double, token=double.classic_token("mona", "repo").token)
    transport.close_kept()


@pytest.fixture
def github_com(tmp_path: Path) -> Iterator[OpenedGitHub]:
    """The provider ``github`` on a double of github.com, with the same organisation and person."""
    with GitHubDouble(tmp_path / "github.com") as double:
        double.add_user("mona")
        double.add_organization("acme", mona="admin")
        yield OpenedGitHub(double, token=double.classic_token("mona", "repo").token)
    transport.close_kept()


@pytest.fixture
def quick_look_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for what never happened."""
    monkeypatch.setattr(lost_answers, "LOOK_UP_SECONDS", 0.0)
