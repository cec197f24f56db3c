"""What a handler gets in a dry run beside forges: a catalog, scorecards and calls over HTTP that write nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from portal_actions_plugin.http_client.exchange import Exchange
from portal_actions_plugin.http_client.messages import Answer, Request
from portal_actions_plugin.runner.dry_run.notes import Kind, Writes

if TYPE_CHECKING:
    from portal_actions_plugin.host import Catalog
    from portal_actions_plugin.run_types import Json, Link

_SAFE = ("GET", "HEAD", "OPTIONS")


class KeepingRecorder:
    """A handler's news, kept for as long as the dry run lasts."""

    def __init__(self) -> None:
        self._checkpoints: dict[str, object] = {}

    def log(self, level: str, message: str) -> None:
        """Nobody reads the log of a dry run."""

    def progress(self, done: int, total: int) -> None:
        """Nobody watches."""

    def load_checkpoint(self, key: str) -> tuple[bool, Any]:
        return key in self._checkpoints, self._checkpoints.get(key)

    def load_note(self, key: str) -> tuple[bool, Any]:
        return self.load_checkpoint(key)

    def save_checkpoint(self, key: str, value: object) -> None:
        self._checkpoints[key] = value

    def keep_links(self, links: Sequence[Link]) -> None:
        """They lead to what is not made."""

    def canceled(self) -> bool:
        return False

    def ensure_ours(self) -> None:
        """What asks writes to something that keeps the write instead."""


class WouldWriteError(Exception):
    """A provider came to where it writes. No ActionError: nothing that a provider does about those is done about this."""

    def __init__(self) -> None:
        super().__init__("A dry run writes to no forge, and this would have been written to one.")


class RefusingRecorder(KeepingRecorder):
    """For a real forge: it is stopped where it would write."""

    def ensure_ours(self) -> None:
        raise WouldWriteError


class RecordingCatalog:
    """A host's catalog that is read alone. What the host's own has not, this one has not either."""

    def __init__(self, real: Catalog, writes: Writes) -> None:
        self._real = real
        self._writes = writes

    def register_entity(self, entity: Mapping[str, Json], source: str | None) -> str:  # noqa: ARG002 the host contract's
        metadata = entity.get("metadata")
        named = metadata if isinstance(metadata, Mapping) else entity
        kind, name = str(entity.get("kind", "component")).lower(), named.get("name", "")
        reference = f"{kind}:{named.get('namespace') or 'default'}/{name}"
        self._writes.note(Kind.CHANGE, "entity of the catalog", reference)
        return reference

    def __getattr__(self, name: str) -> Callable[..., object]:
        there: Callable[..., object] = getattr(self._real, name)
        if name.startswith(("get_", "find_", "entity_")):
            return there

        def write(*given: object, **_named: object) -> None:
            self._writes.note(Kind.CHANGE, f"catalog: {name.replace('_', ' ')}", str(given[0]) if given else "")

        return write


class RecordingScorecards:
    """A host's scorecards: to evaluate one is kept by the host, so it is not done."""

    def __init__(self, writes: Writes) -> None:
        self._writes = writes

    def evaluate(self, entity_id: str, scorecard_id: str, force: bool) -> Mapping[str, Json]:  # noqa: ARG002, FBT001 the host contract's
        self._writes.note(Kind.CALL, "evaluation of a scorecard", f"{scorecard_id} of {entity_id}")
        return {"level": "", "results": []}


def sender(writes: Writes) -> Callable[[Exchange, Request], Answer]:
    """What makes calls over HTTP: those that read are made, the others are kept, and answered with an empty object."""

    def send(exchange: Exchange, request: Request) -> Answer:
        if request.method in _SAFE:
            return replace(exchange, guard=lambda: None).send(request)
        exchange.rules.require_host(request.target)
        writes.note(Kind.CALL, request.method, f"{request.target.scheme}://{request.target.named}{request.target.path}")
        return Answer(request, 200, (("content-type", "application/json"),), b"{}", whole=True)

    return send
