"""The lines of a log as a list's items: the one piece of HTML that is not in a template.

A page has a thousand of them, and a template takes almost four times as long, for it escapes numbers and times too, and
makes each piece known as markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from markupsafe import Markup

from portal_actions_plugin.blueprints.pages.words import PageText
from portal_actions_plugin.run_types import LogLine


def log_items(lines: Sequence[LogLine]) -> Markup:
    """All of a log's lines that are shown. An attempt is named where it begins, where there is more than one."""
    return Markup("\n".join(_items(lines)))  # noqa: S704 numbers, times, and what is escaped


def _items(lines: Sequence[LogLine]) -> Iterator[str]:
    several = bool(lines) and lines[0].attempt != lines[-1].attempt
    last = 0
    for seq, attempt, moment, level, message in lines:
        if several and attempt != last:
            yield f'<li class="pa-begins" data-pa-key="attempt-{attempt:d}">attempt {attempt:d}</li>'
            last = attempt
        at, kind, word = PageText.iso(moment), "", ""
        if level != "info":
            kind, word = f' class="pa-{escape(level)}"', f" <b>{escape(level)}</b>"
        yield (
            f'<li{kind} data-pa-key="{seq:d}"><time datetime="{at}">{at[11:23]}</time>{word}'
            f' <span dir="auto">{escape(message)}</span></li>'
        )
