"""How a valid start gets into the database: replay a known key, limit, write run and audit row, in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlalchemy import select

from portal_actions_plugin.errors import ConfigurationError, ConflictError, NotFoundError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import Identity
from portal_actions_plugin.run_types import ActionRun, AuditEntry, Origin, TemplateRun
from portal_actions_plugin.runs import audit
from portal_actions_plugin.runs.dictionary import terms
from portal_actions_plugin.runs.dictionary.values import Seen
from portal_actions_plugin.runs.guards import access, idempotency, limits
from portal_actions_plugin.runs.guards.idempotency import IdempotencyKey
from portal_actions_plugin.runs.guards.limits import Quota, TooManyStartsError
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.runs.reading.references import MOST_RETRIES, as_seen_by
from portal_actions_plugin.runs.secrets.sealing import unseal
from portal_actions_plugin.runs.states import ACTIVE, CANCELED, FAILED, QUEUED, RUNNING, SUCCESS
from portal_actions_plugin.software_templates.places import Key
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import Transaction, reading, transaction

TEMPLATE_RUN = "template_run"
ACTION_RUN = "action_run"


@dataclass(frozen=True, slots=True)
class Ask:
    """What may accompany a start.

    Attributes:
        idempotency_key: as the client sent it.
        entity: the catalog entity that the run is about.
        origin: the failing rule that it fixes; at most one such run is active at a time.
        secrets: values of secret inputs, when they do not come with the inputs.
        seen_retry: of a retry or a resume, the newest retry of the run that the asker knows of, empty for none: where
            there is a newer one that has ended, nothing is started before they know. None where they do not say.
        left_empty: the places of a template's inputs, such as ``("database", "size")``, that a form showed and that
            were left empty: no default is filled in there.
    """

    idempotency_key: str | None = None
    entity: str | None = None
    origin: Origin | None = None
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    left_empty: frozenset[Key] = frozenset()
    seen_retry: str | None = None

    def readable(self) -> dict[str, Any]:
        """What of an ask is stored readable."""
        origin = asdict(self.origin) if self.origin else None
        return {"Idempotency-Key": self.idempotency_key, "entity": self.entity, "origin": origin}


@dataclass(frozen=True, slots=True)
class Started:
    """What a start came to.

    Attributes:
        run: the started run, or the one that was there before.
        replayed: whether it was there before.
        quota: what the identity has left.
        at_work: whether it was there under no key of the asker's: a fix of the same rule, or a retry of the same run.
    """

    run: ActionRun | TemplateRun
    replayed: bool
    quota: Quota
    at_work: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """A valid start on its way into the database.

    ``end_at_once`` ends a run that has nothing to do, and ``sealed`` has the secret inputs, as a run keeps them. Those
    in ``asked_for`` are the requester's own: they make a retry no other one than somebody else's. ``seen`` is what the run
    is found by.
    """

    asker: Identity
    event: str
    target: str
    kind: str
    key: IdempotencyKey | None
    write: Callable[[Transaction], ActionRun | TemplateRun]
    origin: Origin | None
    retry_of: str | None
    end_at_once: Callable[[Transaction], TemplateRun] | None = None
    sealed: bytes | None = field(default=None, repr=False)
    asked_for: frozenset[str] = frozenset()
    seen: tuple[Seen, ...] = ()
    seen_retry: str | None = None


class RetriedMeanwhileError(ConflictError):
    """Somebody has retried this run meanwhile."""

    hint = "Look at that run. To start another one all the same, send its id as retried_as."

    def __init__(self, again: ActionRun | TemplateRun) -> None:
        """Name the retry that there is by now."""
        super().__init__(
            f"{again.requester_name} has retried this run meanwhile, as {again.id}: that {_BECAME[again.status]}.",
            fields={"retried_as": [again.id]},
        )
        self.again = again


_BECAME = {
    QUEUED: "is queued",
    RUNNING: "is running",
    SUCCESS: "has succeeded",
    FAILED: "has failed",
    CANCELED: "was canceled",
}


class _UnseenRetries(Exception):  # noqa: N818 it is no error: who asks may not see any of them
    def __init__(self, run_ids: frozenset[str]) -> None:
        self.run_ids = run_ids


def known(asker: Identity, key: IdempotencyKey | None) -> Started | None:
    """The run that this key started before: a replay costs nothing, and needs no valid input any more."""
    if key is None:
        return None
    with reading() as db:
        run_id = idempotency.find(db, key)
    return Started(_there(asker, run_id), replayed=True, quota=queries.starts_left(asker.id)) if run_id else None


def accept(start: Start) -> Started:
    """Write a start, or find the run that is there for it.

    Raises:
        TooManyStartsError: the identity's limit is reached; it names the wait.
        ValidationError: the idempotency key was used for something else.
        RetriedMeanwhileError: there is another retry of the run than the asker knows of.
    """
    start = replace(start, seen_retry=_seen_retry(start))
    hidden: frozenset[str] = frozenset()
    while True:
        try:
            with transaction("accept") as tx:
                run, left = _write(tx, start, hidden)
            break
        except TooManyStartsError:
            _audit_the_limit(start.asker, start.event, start.target)
            raise
        except _UnseenRetries as unseen:
            _tell_of(start.asker, unseen.run_ids)
            hidden |= unseen.run_ids
    if isinstance(run, _There):
        return Started(_there(start.asker, run.run_id), replayed=True, quota=left, at_work=run.at_work)
    return Started(as_seen_by(start.asker, run), replayed=False, quota=left)


def _seen_retry(start: Start) -> str | None:
    """The retry that the asker says to know of; one that the host hides is as none that there is."""
    if not start.seen_retry or not access.decides_by_object():
        return start.seen_retry
    try:
        again = queries.any_run(start.seen_retry)
    except NotFoundError:
        return start.seen_retry
    return start.seen_retry if access.allowed(start.asker, access.read_permission(again), again) else ""


def require_start_left(asker: Identity, event: str, target: str) -> None:
    """Refuse early what ``accept`` would refuse: nothing is taken yet.

    Raises:
        TooManyStartsError: the identity has no start left.
    """
    try:
        with reading() as db:
            limits.require_left(db, asker.id, extension().config.rate_limit)
    except TooManyStartsError:
        _audit_the_limit(asker, event, target)
        raise


def _audit_the_limit(asker: Identity, event: str, target: str) -> None:
    with transaction("refuse") as tx:
        audit.record_refusal(tx, AuditEntry(asker.id, event, audit.RATE_LIMITED, target))


def _there(asker: Identity, run_id: str) -> ActionRun | TemplateRun:
    """The run that was there before, for who may see it: a fix may be somebody else's, and of either kind.

    Raises:
        NotFoundError: it is the asker's own, and the host hides it by now.
        ConflictError: it is somebody else's, and the asker may not look at it.
    """
    run = queries.any_run(run_id)
    permission = access.read_permission(run)
    if run.requested_by == asker.id:
        if access.hides(asker, permission, run):
            raise NotFoundError(
                "The run that this started cannot be shown to you.", hint="For another run, send a new Idempotency-Key."
            )
    elif not access.allowed(asker, permission) or not access.allowed(asker, permission, run):
        raise ConflictError(
            "Somebody else's run is at work on the same, and you may not see it.",
            hint="Ask again once it has ended, with a new Idempotency-Key.",
        )
    return as_seen_by(asker, run)


@dataclass(frozen=True, slots=True)
class _There:
    """A run that is there for a start, so that none is written; ``at_work`` as in ``Started``."""

    run_id: str
    at_work: bool


def _tell_of(asker: Identity, run_ids: frozenset[str]) -> None:
    """Say which of these retries is the newest that the asker may see; raises RetriedMeanwhileError."""
    for run_id in sorted(run_ids, reverse=True):
        again = queries.any_run(run_id)
        is_no_news = again.requested_by == asker.id and again.status == CANCELED  # they gave it up themselves
        if not is_no_news and access.allowed(asker, access.read_permission(again), again):
            raise RetriedMeanwhileError(again)


def _write(tx: Transaction, start: Start, hidden: frozenset[str]) -> tuple[ActionRun | TemplateRun | _There, Quota]:
    """The run as it is written, or the one that is there for this start; and what is left after it."""
    rate = extension().config.rate_limit
    # One start of an identity, one fix of a rule and one retry of a run at a time: keys, limits, fixes and retries are
    # exact because of it.
    tx.lock(f"start:{start.asker.id}")
    if start.origin:
        tx.lock(f"fix:{fix_key(start.origin)}")
    if start.retry_of:
        tx.lock(f"retry:{start.retry_of}")
    if there := _already_there(tx, start):
        return there, limits.quota(tx, start.asker.id, rate)
    _require_retries_seen(tx, start, hidden)
    left = limits.take(tx, start.asker.id, rate)
    run = start.write(tx)
    idempotency.keep(tx, start.key, start.kind, run.id)
    audit.record(
        tx,
        AuditEntry(
            start.asker.id,
            start.event,
            audit.ACCEPTED,
            start.target,
            run_id=run.id,
            template_run_id=run.id if start.kind == TEMPLATE_RUN else None,
            details=_why(start),
        ),
    )
    if start.end_at_once:
        run = start.end_at_once(tx)
    terms.keep(tx, start.seen)
    return run, left


def _already_there(tx: Transaction, start: Start) -> _There | None:
    if known_run := idempotency.find(tx, start.key):
        return _There(known_run, at_work=False)
    found = _active_fix(tx, start) or _active_retry(tx, start)
    if found is None:
        return None
    idempotency.keep(tx, start.key, start.kind, found)
    return _There(found, at_work=True)


def _why(start: Start) -> dict[str, Any]:
    """What else the audit says of a start: which run it repeats, and which rule it fixes."""
    again = {"retry_of": start.retry_of} if start.retry_of else {}
    return again | ({"origin": asdict(start.origin)} if start.origin else {})


def _active_fix(tx: Transaction, start: Start) -> str | None:
    if start.origin is None:
        return None
    key = fix_key(start.origin)
    for table in (tables.template_runs, tables.action_runs):
        if found := tx.row(select(table.c.id).where(tables.ACTIVE_FIX, table.c.dedupe_key == key)):
            run_id: str = found["id"]
            return run_id
    return None


def _active_retry(tx: Transaction, start: Start) -> str | None:
    """The retry of the same run that is queued or running with the same inputs, whoever asked for it.

    A retry has the inputs of the run that it repeats, but for secrets: those are wiped, and were given again.
    """
    if start.retry_of is None:
        return None
    table = tables.template_runs if start.kind == TEMPLATE_RUN else tables.action_runs
    active = select(table.c.id, table.c.secrets).where(table.c.retry_of == start.retry_of, table.c.status.in_(ACTIVE))
    return next((found["id"] for found in tx.rows(active) if _same_secrets(found["secrets"], start)), None)


def _require_retries_seen(tx: Transaction, start: Start, hidden: frozenset[str]) -> None:
    """Start nothing while there are newer retries than the one that the asker knows of, but for hidden ones."""
    if start.retry_of is None or start.seen_retry is None:
        return
    table = tables.template_runs if start.kind == TEMPLATE_RUN else tables.action_runs
    newest_first = select(table.c.id).where(table.c.retry_of == start.retry_of).order_by(table.c.id.desc())
    ids = [row["id"] for row in tx.rows(newest_first.limit(MOST_RETRIES))]
    newer = ids[: ids.index(start.seen_retry)] if start.seen_retry in ids else ids
    if unseen := frozenset(newer) - hidden:
        raise _UnseenRetries(unseen)


def _same_secrets(there: bytes | None, start: Start) -> bool:
    """Whether two seals hold the same inputs; one that no key opens any more is another one."""
    try:
        return _inputs_of(there, start) == _inputs_of(start.sealed, start)
    except ConfigurationError:
        return False


def _inputs_of(sealed: bytes | None, start: Start) -> dict[str, Any]:
    opened = unseal(sealed, extension().config.secret_keys)
    return {name: value for name, value in opened.items() if name not in start.asked_for}


def fix_key(origin: Origin | None) -> str | None:
    """What is unique while a fix of a rule is active."""
    if origin is None:
        return None
    return hashlib.sha256("\0".join((origin.entity, origin.scorecard, origin.rule)).encode()).hexdigest()


def who_and_why(asker: Identity, ask: Ask) -> dict[str, Any]:
    """The columns that both kinds of run have about their start."""
    return {
        "requested_by": asker.id,
        "requester_name": asker.name,
        "entity": ask.entity or (ask.origin.entity if ask.origin else None),
        "origin": asdict(ask.origin) if ask.origin else None,
        "dedupe_key": fix_key(ask.origin),
    }
