"""What a run has given in the end, as its page shows it: links, texts, and the other values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from flask import request
from markupsafe import Markup

from portal_actions_plugin.blueprints.pages.run.markdown import MAX_CHARS, markdown
from portal_actions_plugin.blueprints.pages.run.origins import asked
from portal_actions_plugin.extension import extension
from portal_actions_plugin.hooks import asking
from portal_actions_plugin.run_types import TemplateRun
from portal_actions_plugin.software_templates.outputs.addresses import address_in_portal, link_address

MAX_LINKS = 50
MAX_TEXTS = 10
"""So many of each are shown: the API has all of them."""
HEADING = 2
"""The level of the heading above a text."""
_UNTITLED = "Text output"


@dataclass(frozen=True, slots=True)
class ResultLink:
    """A link of the output. Without a ``url`` there is nowhere to lead to, and people read ``shown``."""

    title: str
    url: str | None
    shown: str


@dataclass(frozen=True, slots=True)
class ResultText:
    """A text of the output, as Markdown. ``is_cut`` says that the page has not all of it."""

    title: str
    content: str
    is_first: bool

    @property
    def is_cut(self) -> bool:
        return len(self.content) > MAX_CHARS

    @property
    def html(self) -> Markup:
        """Its Markdown as HTML; it takes time, and is asked for by who shows it."""
        return markdown(self.content, HEADING)


def result_links(run: TemplateRun) -> tuple[ResultLink, ...]:
    """The links that a run has given, the first ``MAX_LINKS``. Those to an entity are asked of the host's catalog."""
    return tuple(_link(entry) for entry in _entries(run.outputs.get("links"), MAX_LINKS))


def result_texts(run: TemplateRun) -> tuple[ResultText, ...]:
    """The texts that a run has given, the first ``MAX_TEXTS``, that of them first that asks for it."""
    entries = list(_entries(run.outputs.get("text"), MAX_TEXTS))
    first = next((index for index, entry in enumerate(entries) if entry.get("default")), 0)
    return tuple(
        ResultText(str(entry.get("title") or _UNTITLED), str(entry["content"]), index == first)
        for index, entry in enumerate(entries)
    )


def other_results(run: TemplateRun) -> dict[str, Any]:
    """All that it has given besides."""
    parts = {name: _besides(value) if name in ("links", "text") else value for name, value in run.outputs.items()}
    return {name: value for name, value in parts.items() if value != []}


def _besides(value: object) -> object:
    return [one for one in value if not isinstance(one, Mapping)] if isinstance(value, list) else value


def _entries(value: object, most: int) -> Iterator[Mapping[str, Any]]:
    entries = (entry for entry in value if isinstance(entry, Mapping)) if isinstance(value, list) else iter(())
    useful = (entry for entry in entries if entry.get("url") or entry.get("entityRef") or entry.get("content"))
    return islice(useful, most)


def _link(entry: Mapping[str, Any]) -> ResultLink:
    entity, written = entry.get("entityRef"), entry.get("url")
    url = _page_of_entity(entity) if isinstance(entity, str) and entity else _below_mount(link_address(written))
    shown = str(entity or written)
    return ResultLink(str(entry.get("title") or shown), url, shown)


def _below_mount(url: str | None) -> str | None:
    """An address in this portal where the portal is not at the top of its host, as authors cannot know."""
    root = request.script_root
    if not url or not root or address_in_portal(url) is None or f"{url}/".startswith(f"{root}/"):
        return url
    return root + url


def _page_of_entity(reference: str) -> str | None:
    catalog = asking.catalog(extension().hooks.catalog)
    return next((url for name in _spellings(reference) if (url := asked(catalog, "entity_url", name))), None)


def _spellings(reference: str) -> tuple[str, ...]:
    """As it is written, and in full, with kind and namespace in small letters as catalogs have them."""
    kind, _, rest = reference.rpartition(":")
    namespace, _, name = rest.rpartition("/")
    full = f"{(kind or 'component').lower()}:{(namespace or 'default').lower()}/{name}"
    return tuple(dict.fromkeys((reference, full)))
