"""What a worker imports before it forks, by what its portal has set up."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from portal_actions_plugin.runner.process import preload
from portal_actions_plugin.settings.installations import read_installations

GITHUB, GITLAB = "portal_actions_plugin.scm.github.provider", "portal_actions_plugin.scm.gitlab.provider"


@pytest.mark.parametrize(
    ("setting", "variables", "expected"),
    [
        ({}, (), set()),
        ({}, ("PORTAL_ACTIONS_GITHUB_TOKEN",), {GITHUB}),
        ({"ghe": {"kind": "github", "url": "https://ghe.example", "token": "x"}}, (), {GITHUB}),
        ({"gitlab": {"token": "x"}}, ("PORTAL_ACTIONS_GITHUB_TOKEN",), {GITHUB, GITLAB}),
    ],
)
def test_a_worker_has_the_code_of_the_forges_that_its_portal_has_set_up(
    monkeypatch: pytest.MonkeyPatch, setting: dict, variables: tuple[str, ...], expected: set[str]
) -> None:
    imported: list[str] = []
    monkeypatch.setattr(preload, "import_module", imported.append)
    for kind in ("GITHUB", "GITLAB"):
        monkeypatch.delenv(f"PORTAL_ACTIONS_{kind}_TOKEN", raising=False)
    for name in variables:
        monkeypatch.setenv(name, "x")
    config = SimpleNamespace(scm=read_installations(setting), local_scm_root=None, secret_keys=())
    preload.preload(SimpleNamespace(config=config, database=SimpleNamespace(close_connections=lambda: None)))
    assert {module for module in imported if module in (GITHUB, GITLAB)} == expected
