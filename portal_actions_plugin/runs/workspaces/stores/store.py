"""What every store of contents can do, and how it says that it cannot."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from portal_actions_plugin.errors import InternalError, RemoteError

RUNS = "runs"
TEMPLATES = "templates"

TELL_PLATFORM = (
    "Tell your platform team: PORTAL_ACTIONS_WORKSPACES says where contents are kept, and doctor looks at it."
)


@dataclass(frozen=True, slots=True)
class Shelf:
    """What keeps contents together, and goes as a whole.

    Attributes:
        kind: ``runs`` or ``templates``.
        owner: a template run's id; of a template's files, their key.
    """

    kind: str
    owner: str


class Store(Protocol):
    """Keeps contents by name, on shelves. Everything may be repeated; what is not there is not deleted twice.

    Each method raises RemoteError when the store does not answer, and ConfigurationError when it is not usable.
    """

    @property
    def name(self) -> str:
        """Its kind in a word: ``folder``, ``bucket`` or ``database``; rows of workspaces keep it."""

    @property
    def is_near(self) -> bool:
        """Whether a page may ask it: whether it answers about as soon as the database."""

    def describe(self) -> str:
        """Where it is, for people; without credentials."""

    def put(self, shelf: Shelf, contents: Iterable[tuple[str, bytes]]) -> None:
        """Keep contents by name. When this returns, they survive a power cut."""

    def get(self, shelf: Shelf, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Give contents by name, each once, in any order; raises InternalError for one that is not there."""

    def lacks(self, shelf: Shelf, names: Collection[str]) -> set[str]:
        """Which of these contents are not there. None is read."""

    def delete(self, shelf: Shelf, names: Sequence[str]) -> None:
        """Forget these contents."""

    def clear(self, shelf: Shelf) -> None:
        """Forget all of a shelf."""

    def sizes(self, shelf: Shelf) -> Mapping[str, int]:
        """What is on a shelf, with the bytes that each takes."""

    def owners(self, kind: str) -> Iterator[str]:
        """The owners of all shelves of a kind that have anything on them."""


def missing(what: str, shelf: Shelf, name: str) -> InternalError:
    """The error for a content that a row speaks of, and that is not there."""
    return InternalError(
        f"A file that this run needs is not in its store any more: {what} has no {shelf.kind}/{shelf.owner}/{name[:16]}.",
        hint="It was deleted there, or the portal was moved or restored without its store: your platform team can bring "
        "that back. Else retry the run: it begins anew.",
    )


def unreachable(what: str, why: object) -> RemoteError:
    """The error of a store that does not answer, or refuses."""
    return RemoteError(f"The store of workspaces, {what}, does not answer: {why}.", hint=TELL_PLATFORM)
