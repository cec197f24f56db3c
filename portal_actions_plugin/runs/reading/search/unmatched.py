"""What is said of a filter that fits nothing, to people who may see it anyway: nobody else's names are in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import SequenceMatcher

from portal_actions_plugin.run_types import Unmatched
from portal_actions_plugin.runs.dictionary.values import seen_in
from portal_actions_plugin.runs.dictionary.words import fold
from portal_actions_plugin.runs.reading.filters import RunFilter

MOST_SIMILAR = 3
_ALIKE = 0.6

_SAID = {
    "action": "No run that you may see is of this action",
    "template": "No run that you may see is of this template",
    "requested_by": "No run that you may see was requested by this person",
    "entity": "No run that you may see is about this entity",
}


def unmatched(
    wanted: RunFilter, finds: Callable[[RunFilter], bool], names: Callable[[str], Iterable[str]]
) -> Sequence[Unmatched]:
    """Say which filters fit nothing by themselves.

    Args:
        wanted: what a list is narrowed to that has turned out empty.
        finds: whether there is anything that who asks may see.
        names: gives, for a filter's name, what there is to choose from, as who asks may know it.
    """
    return [
        Unmatched(name, f"{said}.", tuple(_similar(name, given, names(name))))
        for name, said in _SAID.items()
        if (given := getattr(wanted, name)) and not finds(RunFilter(**{name: given}))
    ]


def _similar(field: str, given: str, names: Iterable[str]) -> Iterator[str]:
    """The most similar names: by the whole of any that they go by, or by how a word in one begins."""
    asked = fold(given)
    alike = {name: max((_alike(asked, key) for key in _keys(field, name)), default=0.0) for name in names}
    best = sorted((name for name in alike if alike[name] >= _ALIKE), key=lambda name: (-alike[name], name))
    yield from best[:MOST_SIMILAR]


def _keys(field: str, name: str) -> Iterator[str]:
    return (key for seen in seen_in(field, name) for key in seen.found_by())


def _alike(asked: str, key: str) -> float:
    if key.startswith(asked):
        return 1.0
    return SequenceMatcher(None, asked, key.removeprefix("=")).ratio()
