"""What packages of others call their actions with in tests, and the page that shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from marshmallow import Schema, fields

from portal_actions_plugin import action
from portal_actions_plugin.actions.files.filesystem import read
from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.testing.actions import KeptNews, context_for

PAGE = Path(__file__).parent.parent.parent / "docs" / "writing-actions.md"


def test_an_action_is_called_with_a_folder_and_its_news_are_kept(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    ctx = context_for("fs:read", workspace=tmp_path)
    assert read.run(ctx, {"path": "a.txt"}) == {"content": "a"}
    assert isinstance(ctx.recorder, KeptNews)
    assert ctx.recorder.text == "read a.txt"


def test_what_was_not_given_is_an_error_that_says_so() -> None:
    ctx = context_for("fs:read", secrets={"token": "t"})
    assert ctx.secret("token") == "t"
    for ask in (lambda: ctx.workspace, lambda: ctx.scm("github"), lambda: ctx.secret("other")):
        with pytest.raises(ConfigurationError):
            ask()


def test_the_action_and_the_test_of_the_page_work(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    known: dict[str, object] = {
        "action": action,
        "WriteToc": Schema.from_dict({"path": fields.String(required=True)}),
    }
    for block in (one for one in blocks if "write_toc" in one):
        exec(block, known)
    test = known["test_the_table_of_contents_has_each_page"]
    assert callable(test)
    test(tmp_path)
