"""Fills empty tables with a history of so many action runs, in bulk: every column is an SQL expression over a number.

Of each ten runs, nine are the steps of three template runs and one is a one-off. They are spread over 90 days and many
people, templates and entities; about 4 % failed, 1 % were canceled, and some at the end are active for good: no worker
may take those. However few runs there are, each status and some of what is searched for fill a whole page, or a page of
ten rows would be compared with one of fifty.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from sqlalchemy import Connection, create_engine, text

from benchmarks.portal import PEOPLE, THREE_STEPS
from portal_actions_plugin.runs.dictionary.values import STEP_NAME, TITLE, Seen, seen_in
from portal_actions_plugin.storage.sessions import Database

DAYS = 90
ACTIVE = 60
"""So many of the newest one-offs are queued, and so many of the newest template runs are running: more than a page."""

SHOWN = 75
"""So many template runs of ``SHOWN_TEMPLATE`` failed at the least, and so many were canceled, evenly over the history.

Of the smallest history a fifth of them are running instead, which leaves more than a page.
"""

SHOWN_TEMPLATE = "create-service-07"

RARE_PERSON = "user:zoe@example.com"
"""Has started one template run, half way back, and nobody else's name begins like that."""

_PREFIX = "portal_actions_"
_SEEN = ("template", "requested_by", "requester_name", "entity")
_NEVER = 4_000_000_000_000
"""A moment in the year 2096, in milliseconds."""

_INPUT = json.dumps({"message": "create the repository of service-0042"})
_INPUTS = json.dumps({"name": "service-0042", "owner": "team:platform", "visibility": "internal"})
_STEPS = [
    {"id": f"step-{number}", "name": f"Step {number}", "action": "debug.log@v1", "input": {"message": "x"}, "if": None}
    for number in range(3)
]
_DEFINITION = json.dumps(
    {
        "name": THREE_STEPS, "title": "Three steps", "description": "", "tags": [], "owner": "team:platform",
        "type": "service", "parameters": [], "steps": _STEPS, "output": {}, "permissions": [], "version": "0" * 16,
        "folder": None, "skeleton_files": {},
    }
)  # fmt: skip


class _Sqlite:
    """How SQLite says it."""

    before = ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -400000")
    after = ("PRAGMA journal_mode = WAL",)
    indexes = (
        f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name LIKE '{_PREFIX}%'"
    )
    false = "0"

    @staticmethod
    def numbers(count: int) -> str:
        return (
            "(WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers "
            f"WHERE n < {count - 1}) SELECT n FROM numbers)"
        )

    @staticmethod
    def uuid(milliseconds: str, kind: str, number: str) -> str:
        return f"printf('%012x70008{kind}%012x', {milliseconds}, {number})"

    @staticmethod
    def moment(milliseconds: str) -> str:
        return f"strftime('%Y-%m-%d %H:%M:%f000', ({milliseconds}) / 1000.0, 'unixepoch')"

    @staticmethod
    def padded(number: str, digits: int) -> str:
        return f"printf('%0{digits}d', {number})"

    @staticmethod
    def json(value: str) -> str:
        return f"'{value}'"


class _Postgresql:
    """How PostgreSQL says it."""

    before = ("SET session_replication_role = replica", "SET maintenance_work_mem = '512MB'")
    after = ("VACUUM ANALYZE",)
    indexes = (
        f"SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE '{_PREFIX}%' "
        "AND indexname NOT IN (SELECT conname FROM pg_constraint)"
    )
    false = "false"

    @staticmethod
    def numbers(count: int) -> str:
        return f"(SELECT n::bigint FROM generate_series(0, {count - 1}) AS numbers(n))"

    @staticmethod
    def uuid(milliseconds: str, kind: str, number: str) -> str:
        return f"(lpad(to_hex({milliseconds}), 12, '0') || '70008{kind}' || lpad(to_hex({number}), 12, '0'))::uuid"

    @staticmethod
    def moment(milliseconds: str) -> str:
        return f"to_timestamp(({milliseconds}) / 1000.0)"

    @staticmethod
    def padded(number: str, digits: int) -> str:
        return f"lpad(({number})::text, {digits}, '0')"

    @staticmethod
    def json(value: str) -> str:
        return f"'{value}'::jsonb"


Dialect = _Sqlite | _Postgresql


def fill(database: Database, runs: int) -> None:
    """Fill a migrated, empty database."""
    sql: Dialect = _Sqlite() if database.engine.dialect.name == "sqlite" else _Postgresql()
    engine = create_engine(database.engine.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in sql.before:
            connection.execute(text(statement))
        indexes = list(connection.execute(text(sql.indexes)))
        for name, _ in indexes:
            connection.execute(text(f"DROP INDEX {name}"))
        _insert_history(connection, sql, runs)
        for _, create in indexes:
            connection.execute(text(create))
        _insert_words(connection)
        for statement in sql.after:
            connection.execute(text(statement))
    engine.dispose()


def _insert_history(connection: Connection, sql: Dialect, runs: int) -> None:
    source = _source(sql, runs)
    ended, started = "status IN ('success', 'failed', 'canceled')", "status <> 'queued'"
    for table, columns, condition in (
        ("template_runs", _template_run(sql), "position = 2"),
        ("action_runs", _action_run(sql), "true"),
        ("attempts", _attempt(sql), started),
        ("log_lines", _log_line(sql), started),
        ("audit", _audit(sql, "0a0", "template_run.start", "'accepted'", "template", "run_id", "ms"), "position = 2"),
        ("audit", _audit(sql, "0a1", "action_run.start", "'accepted'", "action", "id", "ms"), "position = 3"),
        ("audit", _audit(sql, "0a2", "action_run.finish", "status", "action", "id", "ms + took"), ended),
        (
            "audit",
            _audit(sql, "0a3", "template_run.finish", "status", "template", "run_id", "ms + took"),
            f"position = 2 AND {ended}",
        ),
    ):
        names, values = ", ".join(columns), ", ".join(columns.values())
        insert = f"INSERT INTO {_PREFIX}{table} ({names}) SELECT {values} FROM {source} WHERE {condition} ORDER BY n"
        connection.execute(text(insert))
    connection.execute(text(f"INSERT INTO {_PREFIX}metric_watermark VALUES (1, {sql.moment(str(_now()))})"))


def _insert_words(connection: Connection) -> None:
    """Fill the dictionary of search with all values that there are."""
    runs, steps = f"{_PREFIX}template_runs", f"{_PREFIX}action_runs"
    seen: dict[Seen, None] = {}
    for field, table in (*((name, runs) for name in _SEEN), *((name, steps) for name in ("step_id", "action", *_SEEN))):
        for (value,) in connection.execute(text(f"SELECT DISTINCT {field} FROM {table}")):
            seen.update(dict.fromkeys(seen_in(field, value)))
    for field, value, shown, table in ((TITLE, "template", "title", runs), (STEP_NAME, "step_id", "step_name", steps)):
        for of, said in connection.execute(text(f"SELECT DISTINCT {value}, {shown} FROM {table}")):
            seen.update(dict.fromkeys(seen_in(field, of, said)))
    terms = sorted({(word, one.field, one.value) for one in seen for word in one.found_by()})
    connection.execute(
        text(f"INSERT INTO {_PREFIX}search_terms (word, field, value) VALUES (:word, :field, :value)"),
        [{"word": word, "field": field, "value": value} for word, field, value in terms],
    )


def _now() -> int:
    return int(time.time() * 1000)


def _source(sql: Dialect, runs: int) -> str:
    """Each run as a few numbers and words, from which every column is made."""
    step = DAYS * 24 * 3_600_000 // runs
    end = _now() - 2 * 3_600_000
    first = f"""
        SELECT n, n / 10 * 3 + n % 10 / 3 AS template_run,
            CASE WHEN n % 10 = 9 THEN 3 ELSE n % 10 % 3 END AS position,
            CAST({end} AS bigint) - ({runs} - n) * {step} AS ms,
            n / 10 * 48271 % 1000 + n % 10 / 3 AS dice, n * 7919 % 400 AS took,
            CASE WHEN n % 10 < 9 THEN (n / 10 * 3 + n % 10 / 3) * {SHOWN} % {runs * 3 // 10} / {SHOWN} END AS place
        FROM {sql.numbers(runs)} AS numbers"""
    second = f"""
        SELECT *, ms - position * {step} AS began,
            CASE
                WHEN position = 3 AND n / 10 >= {runs // 10 - ACTIVE} THEN 'queued'
                WHEN position = 2 AND template_run >= {runs * 3 // 10 - ACTIVE} THEN 'running'
                WHEN position >= 2 AND (place = 0 OR dice % 100 < 9) THEN 'failed'
                WHEN position >= 2 AND (place = 2 OR dice % 100 < 12) THEN 'canceled'
                ELSE 'success'
            END AS status,
            CASE WHEN place = 0 THEN '{SHOWN_TEMPLATE}' WHEN dice % 40 = 0 THEN '{THREE_STEPS}' ELSE 'create-service-' || {sql.padded("dice % 40", 2)} END
                AS template,
            CASE dice % 4
                WHEN 0 THEN 'debug.log@v1' WHEN 1 THEN 'scm.createRepo@v1' WHEN 2 THEN 'catalog.register@v1'
                ELSE 'http.request@v1'
            END AS action,
            CASE WHEN n / 10 = {runs // 20} AND n % 10 < 3 THEN '{RARE_PERSON}'
                ELSE 'user:person-' || {sql.padded(f"dice * dice / 1000 % {PEOPLE}", 3)} || '@example.com'
            END AS person,
            'component:default/service-' || {sql.padded("template_run % 3000", 4)} AS entity
        FROM ({first}) AS first"""
    return f"""(
        SELECT second.*, {sql.uuid("ms", "0c0", "n")} AS id,
            CASE WHEN position < 3 THEN {sql.uuid("began", "0b0", "template_run")} END AS run_id
        FROM ({second}) AS second) AS third"""


def _template_run(sql: Dialect) -> Mapping[str, str]:
    end = f"CASE WHEN status <> 'running' THEN {sql.moment('ms + took')} END"
    return {
        "id": "run_id",
        "template": "template",
        "title": "'Create a service'",
        "template_version": "'0000000000000000'",
        "definition": sql.json(_DEFINITION),
        "inputs": sql.json(_INPUTS),
        "status": "status",
        "version": "7",
        "requested_by": "person",
        "requester_name": "'Person ' || (n % 200)",
        "entity": "entity",
        "queued_at": sql.moment("began"),
        "started_at": sql.moment("began + 10"),
        "finished_at": end,
        "announced_at": end,
    }


def _action_run(sql: Dialect) -> Mapping[str, str]:
    end = f"CASE WHEN status IN ('success', 'failed', 'canceled') THEN {sql.moment('ms + took')} END"
    return {
        "id": "id",
        "template_run_id": "run_id",
        "template": "CASE WHEN position < 3 THEN template END",
        "step_id": "CASE WHEN position < 3 THEN 'step-' || position END",
        "step_name": "CASE WHEN position < 3 THEN 'Step ' || position END",
        "position": "position % 3",
        "item": "0",
        "action": "action",
        "queue": "'default'",
        "status": "status",
        "version": "3",
        "attempt": "CASE WHEN status = 'queued' THEN 0 ELSE 1 END",
        "max_attempts": "3",
        "requested_by": "person",
        "requester_name": "'Person ' || (n % 200)",
        "entity": "entity",
        "input": sql.json(_INPUT),
        "error_code": "CASE WHEN status = 'failed' THEN 'INTERNAL' END",
        "error_message": "CASE WHEN status = 'failed' THEN 'The forge did not answer within 30 s.' END",
        "error_hint": "CASE WHEN status = 'failed' THEN 'Try again later.' END",
        "queued_at": sql.moment("ms"),
        "not_before": f"CASE WHEN status = 'queued' THEN {sql.moment(str(_NEVER))} END",
        "rung_at": sql.moment("ms"),
        "rings": "1",
        "ring_again_at": sql.moment(str(_NEVER)),
        "started_at": f"CASE WHEN status <> 'queued' THEN {sql.moment('ms + 10')} END",
        "finished_at": end,
        "announced_at": end,
        "process_token": f"CASE WHEN status = 'running' THEN {sql.uuid('ms', '0d0', 'n')} END",
        "worker": "CASE WHEN status <> 'queued' THEN 'worker-1' END",
        "lease_expires_at": f"CASE WHEN status = 'running' THEN {sql.moment(str(_NEVER))} END",
        "deadline_at": f"CASE WHEN status = 'running' THEN {sql.moment(str(_NEVER))} END",
        "lock_held": sql.false,
    }


def _attempt(sql: Dialect) -> Mapping[str, str]:
    return {
        "action_run_id": "id",
        "number": "1",
        "started_at": sql.moment("ms + 10"),
        "finished_at": f"CASE WHEN status <> 'running' THEN {sql.moment('ms + took')} END",
        "outcome": "CASE WHEN status <> 'running' THEN status END",
        "worker": "'worker-1'",
    }


def _log_line(sql: Dialect) -> Mapping[str, str]:
    return {
        "action_run_id": "id",
        "seq": "1",
        "attempt": "1",
        "at": sql.moment("ms + 11"),
        "level": "'info'",
        "message": "'created the repository of service-' || n",
    }


def _audit(sql: Dialect, kind: str, event: str, outcome: str, target: str, run: str, ms: str) -> Mapping[str, str]:
    return {
        "id": sql.uuid(ms, kind, "n"),
        "at": sql.moment(ms),
        "last_at": sql.moment(ms),
        "actor": "person",
        "event": f"'{event}'",
        "outcome": outcome,
        "target": target,
        "run_id": run,
        "template_run_id": "run_id",
        "count": "1",
    }
