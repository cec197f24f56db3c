"""What changed about each template, as audit rows: one for each change, however many processes and machines notice it.

A machine remembers in a file what it has seen. Only what is another one there is compared with the audit: machines that
are at different commits for a while do not contradict each other.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal_actions_plugin.extension import extension
from portal_actions_plugin.run_types import AuditEntry
from portal_actions_plugin.runs import audit, states
from portal_actions_plugin.software_templates.sources.checkouts import KEY
from portal_actions_plugin.storage.sessions import Transaction, transaction

if TYPE_CHECKING:
    from portal_actions_plugin.host import TemplateListing
    from portal_actions_plugin.run_types import RepositoryCommit

log = logging.getLogger(__name__)

_FILE = "definitions.json"
_AT_ONCE = 200
"""Templates whose changes are written in one transaction."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What counts of a template.

    Attributes:
        version: that can be used; empty where none can.
        is_refused: whether its newest version cannot be used.
    """

    version: str
    is_refused: bool


Definitions = Mapping[str, Definition]
"""By the template's name."""


def record() -> int:
    """Add a row for each change since this machine last looked. The templates of a host's own source are the host's.

    Returns:
        How many rows were added.
    """
    if extension().hooks.template_source:
        return 0
    listing = extension().folder_templates.list()
    if any(found.key == "folder" for found in listing.problems):
        return 0  # what cannot be read now has not been removed
    now, before = definitions(listing), _remembered()
    changed = sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))
    sources = {one.name: one.source for one in listing.templates if one.source}
    added = sum(_record(changed[begin : begin + _AT_ONCE], now, sources) for begin in range(0, len(changed), _AT_ONCE))
    if changed:
        _remember(now)
    return added


def definitions(listing: TemplateListing) -> Definitions:
    """What counts of each template that is there, usable or not."""
    found = {one.template: Definition("", is_refused=True) for one in listing.problems if one.template}
    kept_back = {one.template for one in listing.warnings if one.key == KEY and one.template}
    return found | {one.name: Definition(one.version, one.name in kept_back) for one in listing.templates}


def _record(names: Sequence[str], now: Definitions, sources: Mapping[str, RepositoryCommit]) -> int:
    with transaction("template_changes") as tx:
        # One machine at a time: two that see the same change at once would both add its row.
        tx.lock("template-changes")
        known = _known(tx, names)
        entries = [
            entry for name in names for entry in _entries(name, known.get(name), now.get(name), sources.get(name))
        ]
        for entry in entries:
            audit.record(tx, entry)
    return len(entries)


def _entries(
    name: str, before: Definition | None, now: Definition | None, source: RepositoryCommit | None
) -> Iterator[AuditEntry]:
    """What happened to a template: a new version that can be used, one that cannot, or neither is there any more."""
    if before == now:
        return
    if now is None:
        yield AuditEntry(audit.PORTAL, audit.TEMPLATE_REMOVE, audit.ACCEPTED, name)
        return
    at = {"repository": source.repository, "commit": source.commit} if source else {}
    details = {"version": now.version, **at}
    if now.version and (before is None or before.version != now.version or not now.is_refused):
        event = audit.TEMPLATE_CHANGE if before else audit.TEMPLATE_ADD
        earlier = {"from_version": before.version} if before and before.version else {}
        yield AuditEntry(audit.PORTAL, event, audit.ACCEPTED, name, details={**details, **earlier})
    if now.is_refused:
        yield AuditEntry(audit.PORTAL, audit.TEMPLATE_REFUSE, states.FAILED, name, details=details)


def _known(tx: Transaction, names: Sequence[str]) -> Definitions:
    """What the audit says of some templates."""
    known: dict[str, Definition] = {}
    for entry in audit.template_events(tx, names):
        if entry.event == audit.TEMPLATE_REMOVE:
            known.pop(entry.target, None)
        else:
            version = str(entry.details.get("version", ""))
            known[entry.target] = Definition(version, entry.event == audit.TEMPLATE_REFUSE)
    return known


def _remembered() -> Definitions:
    try:
        kept = json.loads((extension().checkouts.base / _FILE).read_text(encoding="utf-8"))
        return {name: Definition(str(version), bool(is_refused)) for name, (version, is_refused) in kept.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        log.warning("what this machine has seen of templates cannot be read: %s", error)
        return {}


def _remember(now: Definitions) -> None:
    base = extension().checkouts.base
    kept = {name: [one.version, one.is_refused] for name, one in now.items()}
    try:
        base.mkdir(parents=True, exist_ok=True, mode=0o750)
        new = base / f"{_FILE}.{os.getpid()}"
        new.write_text(json.dumps(kept), encoding="utf-8")
        new.replace(base / _FILE)
    except OSError as error:
        log.warning("what this machine has seen of templates cannot be kept: %s", error)
