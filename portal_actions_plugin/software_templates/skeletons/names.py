"""What the steps of a template take from beside it, as far as that can be known without a run."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.spec import Step

MAX_PATH = 1_000
MAX_CHOICES = 10
"""Folders that one step may choose from, where each is looked at by itself."""
FETCHING = frozenset({"fetch:template", "fetch:template:file", "fetch:plain", "fetch:plain:file"})
"""The actions whose ``url`` may be a path that begins beside the template."""
_ITEM = re.compile(r"\s*\$\{\{\s*each\.value(?:\.(?P<part>\w+))?\s*\}\}")


class SkeletonError(Exception):
    """A skeleton folder cannot be used; the message says why."""


def folder_path(folder: str) -> str:
    """Write a skeleton folder such as ``./skeleton/`` as its plain path below the template's folder.

    Raises:
        SkeletonError: the path is absolute, climbs out, or names the template's own folder.
    """
    path = PurePosixPath(folder)
    if path.is_absolute() or ".." in path.parts or "\\" in folder or "\0" in folder:
        raise SkeletonError(f"{folder!r} must be a folder below the template's file, without ..")
    if not path.parts:
        raise SkeletonError("the skeleton must be a folder of its own, below the template's file")
    return path.as_posix()


def source_path(source: str) -> str:
    """Write what a step fetches from beside its template, such as ``../shared/./ci/``, as its plain path from there.

    Raises:
        SkeletonError: the path is absolute, or no path at all.
    """
    if source.startswith("/") or "\\" in source or "\0" in source or len(source) > MAX_PATH:
        raise SkeletonError(f"{source[:100]!r} must be a path that begins beside the template's file")
    return posixpath.normpath(source or ".")


class Choices(Protocol):
    """What the form of a template offers."""

    def of(self, text: str) -> Iterable[str]:
        """What a text may become whose first part is an expression."""

    def items_of(self, each: JsonValue) -> Iterable[object]:
        """The values that a step may go through."""


class Source(NamedTuple):
    """What a step takes from beside its template.

    Attributes:
        field: the input that names it, ``skeleton`` or ``url``.
        path: its plain path from the template's folder.
        is_choice: whether it is one of those that an expression may become.
    """

    field: str
    path: str
    is_choice: bool = False


def sources_of(step: Step, choices: Choices) -> Iterator[Source]:
    """What a step takes from beside its template, as far as that can be known without a run.

    Args:
        step: any one.
        choices: what the form of its template offers.

    Yields:
        What its inputs name as plain text, and what an expression may become.

    Raises:
        SkeletonError: an input names what is no such path.
    """
    given = step.input.get("skeleton")
    if isinstance(given, str) and "${{" not in given:
        yield Source("skeleton", folder_path(given))
    url = step.input.get("url", ".")
    if step.action not in FETCHING or not isinstance(url, str):
        return
    if path := _beside(url):
        yield Source("url", source_path(path))
    elif "://" not in url.partition("${{")[0]:
        yield from (Source("url", path, is_choice=True) for path in _chosen(url, step, choices))


def may_take_files(step: Step) -> bool:
    """Whether a step may take anything from beside its template: False only where that is sure without a run."""
    url = step.input.get("url", ".")
    fetches = step.action in FETCHING and isinstance(url, str) and "://" not in url.partition("${{")[0]
    return fetches or "skeleton" in step.input


def _chosen(url: str, step: Step, choices: Choices) -> Iterable[str]:
    """The paths that a ``url`` may become which begins with an expression; of many of them, the folder that they are in."""
    found = dict.fromkeys(_plain_paths((*choices.of(url), *_of_items(url, step, choices))))
    return found if len(found) <= MAX_CHOICES else [posixpath.commonpath(found)]


def _of_items(url: str, step: Step, choices: Choices) -> Iterator[str]:
    """What a ``url`` becomes that begins with the item of a step's ``each``, or with a part of it."""
    if step.each is None or not (named := _ITEM.match(url)):
        return
    for item in choices.items_of(step.each):
        value = item.get(named["part"]) if named["part"] and isinstance(item, Mapping) else item
        if isinstance(value, str):
            yield f"{value}{url[named.end() :]}"


def _plain_paths(urls: Iterable[str]) -> Iterator[str]:
    for url in urls:
        if path := _beside(url):
            try:
                yield source_path(path)
            except SkeletonError:
                continue  # nobody has to choose it


def _beside(url: str) -> str:
    """The part of a ``url`` that leads to what lies beside the template; empty for an address, or where nobody knows yet.

    Of ``./ci/${{ parameters.type }}/x`` that is ``./ci``: a run may ask for anything in it.
    """
    known = url.partition("${{")[0].partition("{%")[0]
    if "://" in known:
        return ""
    if known == url:
        return url or "."
    return known.rpartition("/")[0] or "." if known.startswith(".") else ""
