"""Which items of a step a run page shows, as its address says: one in full, or all of a step in short."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from flask import Request
from markupsafe import Markup

from portal_actions_plugin.blueprints.pages.page_answer import page_url
from portal_actions_plugin.blueprints.pages.query import UrlValue
from portal_actions_plugin.blueprints.pages.words import PageText
from portal_actions_plugin.run_types import ItemRun, TemplateRun
from portal_actions_plugin.runs.reading import permitted
from portal_actions_plugin.runs.states import ACTIVE

_ANY = "00000000-0000-0000-0000-000000000000"
AT_ONCE = 500
AT_ONCE_WHILE_ACTIVE = 100
"""So many items are listed on one page. That of a run which is not over asks for itself every second."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Items of a step, in short.

    Attributes:
        step: which step of the run it is, from 1.
        items: in their order.
        older: the index of the last item before them; None where they are the first.
        newer: the index of the last of them; None where none follows.
    """

    step: int
    items: Sequence[ItemRun]
    older: int | None = None
    newer: int | None = None


@dataclass(frozen=True, slots=True)
class Unfolded:
    """What an address asks for.

    Attributes:
        step: the step all of whose items are listed, from 1; 0 for none.
        after: the index of the last item before those that are listed.
        item: the id of an item that is shown in full; empty for none.
    """

    step: int = 0
    after: int = -1
    item: str = ""

    @classmethod
    def of_request(cls, request: Request) -> Unfolded:
        """Read a request's address: what is no number there asks for nothing."""
        return cls(_number(request, "items", 0), _number(request, "after", -1), request.args.get("item", ""))

    def of(self, run: TemplateRun) -> Listed | None:
        """The items that are listed; None where the address names no step that has any."""
        if not 0 < self.step <= len(run.steps) or not run.steps[self.step - 1].items:
            return None
        most = AT_ONCE_WHILE_ACTIVE if run.status in ACTIVE else AT_ONCE
        found = permitted.items(run, self.step - 1, after=self.after, limit=most + 1)
        items = found[:most]
        newer = items[-1].index if len(found) > most else None
        return Listed(self.step, items, max(-1, self.after - most) if self.after >= 0 else None, newer)

    def address_of(self, run_id: str, log: str | None) -> Callable[..., str]:
        """Addresses of the page as it is, but for what is given: no link of it folds what somebody has unfolded."""
        kept: dict[str, UrlValue] = {"log": log, "item": self.item or None}
        kept |= {"items": str(self.step) if self.step else None, "after": str(self.after) if self.after >= 0 else None}
        return lambda **changed: page_url("template_run", run_id=run_id, **{**kept, **changed})


def item_url(address: Callable[..., str]) -> Callable[[str], str]:
    """The addresses that show items of a template run in full, by their action runs' ids; what is listed stays so."""
    made = address(item=_ANY)
    return lambda item: f"{made.replace(_ANY, item)}#item-{item}"


def item_rows(listed: Listed, text: PageText, url_of: Callable[[str], str]) -> Markup:
    """The items that are listed, as a list's items: a template takes several times as long for hundreds of them.

    Args:
        listed: which.
        text: the words of the page.
        url_of: gives the address that shows an item in full, by its action run's id.
    """
    return Markup("\n".join(_rows(listed, text, url_of)))  # noqa: S704 numbers, known words, and what is escaped


def _rows(listed: Listed, text: PageText, url_of: Callable[[str], str]) -> Iterator[str]:
    for item in listed.items:
        called, word = f"<bdi>{escape(item.name)}</bdi>", escape(text.word(text.status(item)))
        name = f'<a href="{escape(url_of(item.run_id))}">{called}</a>' if item.run_id else f"<span>{called}</span>"
        took = f" <span>{text.duration(item.duration_ms)}</span>" if item.duration_ms is not None else ""
        error = f" <code>{escape(item.error_code)}</code>" if item.error_code else ""
        kept = " <span>taken over</span>" if item.taken_over_from else ""
        yield f'<li class="pa-is-{escape(text.status(item))}">{name} <b>{word}</b>{took}{error}{kept}</li>'


def _number(request: Request, name: str, default: int) -> int:
    given = request.args.get(name, "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) <= 9 else default
