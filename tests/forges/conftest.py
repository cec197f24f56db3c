"""What tests of the shared client need: a scripted forge behind a real server, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from portal_actions_plugin.errors import ActionError, AuthError, ConflictError, NotFoundError, RemoteError
from portal_actions_plugin.scm.base import Author
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.scm.remote import lost_answers, transport
from portal_actions_plugin.scm.remote.client import ForgeAnswer, ForgeClient, Place
from portal_actions_plugin.scm.remote.credentials import Credential
from portal_actions_plugin.settings.installations import Installation
from tests.support.forges.github import GitHubDouble
from tests.support.forges.github_opened import OpenedGitHub
from tests.support.forges.scripted import ScriptedForge
from tests.support.forges.server import ForgeServer

TOKEN = "t0ken-of-ada"
ADA = Credential("token:ada", {"Authorization": f"Bearer {TOKEN}"}, TOKEN, "token")
KINDS = {401: AuthError, 403: AuthError, 404: NotFoundError, 409: ConflictError}


def error_of(answer: ForgeAnswer) -> ActionError:
    said = answer.body.decode(errors="replace")[:300]
    return KINDS.get(answer.status, RemoteError)(f"The forge said: {said}", hint="Ask Ada.")


def limit_of(answer: ForgeAnswer) -> Any:
    if answer.status != 429:
        return False
    return float(answer.headers["retry-after"]) if "retry-after" in answer.headers else None


@dataclass
class KeptPauses:
    """Keeps pauses in a dictionary, and lets nobody wait."""

    begun: list[tuple[str, str, float | None]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def wait(self, installation: str, credential: str) -> float:
        return self.waits.pop(0) if self.waits else 0.0

    def begin(self, installation: str, credential: str, seconds: float | None) -> float:
        self.begun.append((installation, credential, seconds))
        return 60.0 if seconds is None else seconds


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


def client_of(place: Place, opening: Opening, **options: Any) -> ForgeClient:
    return ForgeClient(
        place, opening, headers={"Accept": "application/json"}, error_of=error_of, limit_of=limit_of, **options
    )


def opened_with(opening: Opening, **changes: Any) -> Opening:
    return replace(opening, **changes)


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
