"""The doctor's look at the parts themselves: database, clock, tables, Redis, templates and settings."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from flask import current_app
from redis.exceptions import RedisError
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin import migrations
from portal_actions_plugin.db import Transaction, database, now_plus, reading, transaction
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.doctor.findings import (
    Check,
    Finding,
    critical,
    database_address,
    duration,
    fine,
    redis_address,
    said,
    warning,
)

AWAY = "the database is away"
MEND_DATABASE = "start the database or let this machine reach it, or correct PORTAL_ACTIONS_DATABASE_URL"
STATEMENT_SECONDS = 3
"""How long one look may wait for a lock, such as a migration's."""

CLOCK_SECONDS = 60
NEW_KEY = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'


@contextmanager
def looking() -> Iterator[Transaction]:
    """Read as everybody does, but give up on a table that somebody keeps locked."""
    with reading() as db:
        limit_statements(db)
        yield db


def limit_statements(tx: Transaction) -> None:
    """Let no statement of an open transaction wait for long. SQLite's reads wait for nobody."""
    if _is_postgresql():
        tx.execute(text(f"SET LOCAL statement_timeout = {STATEMENT_SECONDS * 1000}"))


def answers() -> bool:
    """Whether the database answers at all."""
    try:
        with looking() as db:
            return db.row(select(now_plus(0).label("now"))) is not None
    except SQLAlchemyError:
        return False


def is_ready() -> bool:
    """Whether the database answers and its tables are those of this version: whether rows can be mended."""
    return answers() and migrations.is_current(database())


def _is_postgresql() -> bool:
    return database().engine.dialect.name == "postgresql"


# -- the database ----------------------------------------------------------------------------------------------------


def _database() -> Iterator[Finding]:
    where = database_address()
    began = time.monotonic()
    try:
        with looking() as db:
            db.row(select(now_plus(0).label("now")))
    except SQLAlchemyError as error:
        message = f"{where} does not answer, so nothing can be started, run or shown: {said(error)}"
        yield critical("database", message, MEND_DATABASE)
    else:
        yield fine("database", f"{where} answers in {(time.monotonic() - began) * 1000:.0f} ms")


def _writable() -> Iterator[Finding]:
    """Open a transaction as a start does, and change nothing."""
    mend = "end what keeps it locked, or give this user the right to write; a standby has to become the primary"
    try:
        with transaction("doctor_writes") as tx:
            limit_statements(tx)
            read_only = _is_postgresql() and tx.execute(text("SHOW transaction_read_only")).scalar() == "on"
    except SQLAlchemyError as error:
        yield critical("writing", f"the database takes no writes, so no run can start or go on: {said(error)}", mend)
    else:
        if read_only:
            yield critical("writing", "the database is read-only, so no run can start or go on", mend)


def _clock() -> Iterator[Finding]:
    with looking() as db:
        row = db.row(select(now_plus(0).label("now")))
    off = abs((row["now"] - datetime.now(UTC)).total_seconds()) if row else 0.0
    if off > CLOCK_SECONDS:
        message = (
            f"the database's clock and this machine's are {duration(off)} apart: "
            "leases are safe, since only the database's counts, but times on pages look odd"
        )
        yield warning("clock", message, "set both clocks by NTP, such as `timedatectl set-ntp true`")


def _tables() -> Iterator[Finding]:
    tables = migrations.standing(database())
    if tables.found == tables.needed:
        yield fine("tables", f"they are those of this version ({tables.needed})")
    elif tables.found is None:
        yield critical("tables", "there are none yet", "flask actions db upgrade")
    elif tables.known:
        message = f"they are at {tables.found} and this version needs {tables.needed}"
        yield critical("tables", message, "flask actions db upgrade")
    else:
        message = f"they are at {tables.found}, which this version does not know: a newer one has upgraded them"
        yield critical("tables", message, "install that version here too: pip install -U portal-actions-plugin")


# -- beside the database ---------------------------------------------------------------------------------------------


def _redis() -> Iterator[Finding]:
    where = redis_address()
    try:
        extension().redis.ping()
    except (RedisError, OSError) as error:
        # A warning: nothing is lost. Should it last, the runs that wait for it become critical.
        message = f"{where} does not answer: runs are accepted and wait, none begins ({said(error)})"
        yield warning("redis", message, "start Redis or let this machine reach it, or correct PORTAL_ACTIONS_REDIS_URL")
    else:
        yield fine("redis", f"{where} answers")


def _templates() -> Iterator[Finding]:
    listing = extension().templates.list()
    for problem in listing.problems:
        mend = f"correct line {problem.line} of {problem.file}; it is read again by itself"
        yield warning("templates", str(problem), mend)
    # Our own source says this with a line; a host's source may know nothing of actions.
    for template in listing.templates:
        for step in template.steps:
            if step.action not in extension().registry:
                message = f"the template {template.name} wants {step.action} in its step {step.id}: it is not installed"
                yield warning("templates", message, f"install the package that brings {step.action}, or correct it")


def _settings() -> Iterator[Finding]:
    config = extension().config
    if not current_app.secret_key:
        message = "SECRET_KEY is not set: the buttons of the pages are refused, since forms cannot be signed"
        yield critical("settings", message, 'SECRET_KEY=$(python -c "import secrets; print(secrets.token_hex(32))")')
    if not config.secret_keys and (wanting := _wanting_secrets()):
        message = f"PORTAL_ACTIONS_SECRET_KEYS is not set: starts with secrets are refused, such as of {wanting[0]}"
        yield warning("settings", message, f"PORTAL_ACTIONS_SECRET_KEYS=$({NEW_KEY})")
    if not config.public_url:
        yield fine("settings", "PORTAL_ACTIONS_PUBLIC_URL is not set: links made in workers have no host name")


def _wanting_secrets() -> Sequence[str]:
    parts = extension()
    wanting = [action.id for action in parts.registry if action.secret_names()]
    # A source that fails has its own finding.
    with suppress(Exception):
        wanting += [template.name for template in parts.templates.list().templates if template.secret_names]
    return wanting


OF_THE_DATABASE = (
    Check("database", _database, else_skipped=AWAY),
    Check("writing", _writable, "the database takes writes"),
    Check("clock", _clock, "the database's and this machine's agree"),
    Check("tables", _tables, else_skipped="the tables are not up to date"),
)
OTHERS = (
    Check("redis", _redis),
    Check("templates", _templates, "every template file can be used"),
    Check("settings", _settings, "nothing is missing"),
)
