"""What the page about bringing templates shows is what the commands print."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from portal_actions_plugin.cli import actions

PAGE = Path(__file__).parent.parent.parent / "docs" / "bring-your-templates.md"


def test_the_commands_of_the_page_print_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGE.read_text(encoding="utf-8")
    files = re.findall(r"`([\w-]+/template\.yaml)`:\n\n```yaml\n(.*?)```", page, re.DOTALL)
    assert len(files) == 3
    for name, text in files:
        strict = text.replace("scaffolder.backstage.io/v1beta3", "portal-actions/v1")
        for folder, content in (("templates", text), ("strict", strict)):
            (tmp_path / folder / name).parent.mkdir(parents=True)
            (tmp_path / folder / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    shown = re.findall(r"```console\n\$ flask actions (.*?)\n(.*?)```", page, re.DOTALL)
    assert [command for command, _ in shown] == [
        "template try templates",
        "template lint templates",
        "template lint strict",
    ]
    for command, said in shown:
        told = CliRunner().invoke(actions, command.split(" "))
        assert told.exit_code == 1
        assert said.strip().split("\n") == told.output.strip().split("\n"), command
