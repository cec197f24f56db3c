"""The doctor's look at the parts themselves: database, clock, tables, Redis, templates and settings."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from flask import current_app
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from sqlalchemy import Table, false, insert, make_url, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from portal_actions_plugin.doctor import causes
from portal_actions_plugin.doctor.findings import (
    Check,
    Finding,
    counted,
    critical,
    database_address,
    duration,
    fine,
    redis_address,
    warning,
)
from portal_actions_plugin.extension import NAME, extension
from portal_actions_plugin.host import TemplateFinding
from portal_actions_plugin.run_types import SHORT_COMMIT
from portal_actions_plugin.runner.process.interruptions import TimeLimitError, time_limit
from portal_actions_plugin.runs.conditions import NOW
from portal_actions_plugin.runs.guards.findings import is_of_location, is_of_repository
from portal_actions_plugin.software_templates.sources.checkouts import moment
from portal_actions_plugin.storage import migrations, tables
from portal_actions_plugin.storage.away import said
from portal_actions_plugin.storage.sessions import Transaction, database, reading, transaction
from portal_actions_plugin.upkeep.template_repositories import sources

NOT_LOADED = "the plugin is not loaded: PortalActions(app) is not called where this app is made"
MEND_NOT_LOADED = "call PortalActions(app), or init_app(app), where the app is made; or name another app with --app"
STATEMENT_SECONDS = 3
"""How long one look may wait for a lock, such as a migration's."""

CLOCK_SECONDS = 60
MAX_PROBLEMS = 20
"""Problems of templates that are told one by one: the first ones, and how many there are."""
TEMPLATES_SECONDS = 5
"""How long the settings may wait for the templates, which have a check of their own."""

DOORBELL_TRIAL = "portal-actions:doctor"
WRITTEN: Sequence[Table] = (
    tables.template_runs,
    tables.action_runs,
    tables.attempts,
    tables.log_lines,
    tables.checkpoints,
    tables.idempotency_keys,
    tables.audit,
    tables.workers,
    tables.workspaces,
    tables.workspace_blobs,
    tables.template_files,
)
"""The tables that a start, an attempt and its outcome write."""

_SOURCES = "template sources"
_REFRESH = "flask actions template sources --refresh"

OUR_ACTIONS = "portal_actions_plugin.actions."
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


def is_loaded() -> bool:
    """Whether the app has the plugin at all."""
    return NAME in current_app.extensions


def answers() -> bool:
    """Whether the database answers at all."""
    if _missing_file():
        return False
    try:
        with looking() as db:
            return db.row(select(NOW.label("now"))) is not None
    except SQLAlchemyError:
        return False


def is_ready() -> bool:
    """Whether the database answers and its tables are those of this version: whether rows can be mended."""
    return answers() and migrations.is_current(database())


def _is_postgresql() -> bool:
    return database().engine.dialect.name == "postgresql"


def _missing_file() -> bool:
    """Whether the file of SQLite is not there: the first one to ask would make an empty one."""
    url = make_url(extension().config.database_url)
    file = url.database if url.get_backend_name() == "sqlite" else None
    return bool(file) and file != ":memory:" and not str(file).startswith("file:") and not Path(str(file)).exists()


# -- the database ----------------------------------------------------------------------------------------------------


def _database() -> Iterator[Finding]:
    where = database_address()
    if _missing_file():
        mend = (
            "mount it, or correct PORTAL_ACTIONS_DATABASE_URL; only for a new portal, make it: flask actions db upgrade"
        )
        yield critical("database", f"{where}: the file is not there, so nothing can be started, run or shown", mend)
        return
    began = time.monotonic()
    try:
        with looking() as db:
            db.row(select(NOW.label("now")))
    except SQLAlchemyError as error:
        message = f"{where} does not answer, so nothing can be started, run or shown: {said(error)}"
        yield critical("database", message, causes.mend_of(error) or causes.MEND_DATABASE)
    else:
        yield fine("database", f"{where} answers in {(time.monotonic() - began) * 1000:.0f} ms")


def _writable() -> Iterator[Finding]:
    """Write to each table as a start and an outcome do, but no row."""
    into = ""
    try:
        with transaction("doctor_writes") as tx:
            limit_statements(tx)
            for table in WRITTEN:
                into = f" in {table.name}"
                _write_no_row(tx, table)
    except SQLAlchemyError as error:
        message = f"the database takes no writes{into}, so no run can start or go on: {said(error)}"
        yield critical("writing", message, causes.mend_of(error) or causes.MEND_DATABASE)


def _write_no_row(tx: Transaction, table: Table) -> None:
    """Find out whether rows could be added and changed: rights and locks are looked at for no row too."""
    key = list(table.primary_key)
    tx.execute(insert(table).from_select(key, select(*key).where(false()), include_defaults=False))
    tx.execute(update(table).values({key[0]: key[0]}).where(false()))


def _clock() -> Iterator[Finding]:
    with looking() as db:
        row = db.row(select(NOW.label("now")))
    off = abs((row["now"] - datetime.now(UTC)).total_seconds()) if row else 0.0
    if off > CLOCK_SECONDS:
        message = (
            f"the database's clock and this machine's are {duration(off)} apart: "
            "leases are safe, since only the database's counts, but times on pages look odd"
        )
        yield warning("clock", message, "set both clocks by NTP, such as `timedatectl set-ntp true`")


def _tables() -> Iterator[Finding]:
    there = migrations.standing(database())
    if there.found == there.needed:
        yield fine("tables", f"they are those of this version ({there.needed})")
    elif there.usable:
        yield fine("tables", f"they are at {there.found}, of a newer version, and this one lives with them")
    else:
        yield critical("tables", there.trouble, there.mend)


# -- beside the database ---------------------------------------------------------------------------------------------


def _redis() -> Iterator[Finding]:
    # Warnings: nothing is lost. Should it last, the runs that wait for it become critical.
    where = redis_address()
    try:
        extension().redis.ping()
        extension().redis.set(DOORBELL_TRIAL, "1", px=1000)
    except (AuthenticationError, NoPermissionError) as error:
        message = f"{where} lets nobody in like this: runs are accepted and wait, none begins ({said(error)})"
        yield warning("redis", message, causes.MEND_REDIS_CREDENTIALS)
    except ResponseError as error:
        message = f"{where} answers, but takes no wake-ups of workers: runs are accepted and wait, none begins ({said(error)})"
        yield warning("redis", message, "free its memory or disk, or point PORTAL_ACTIONS_REDIS_URL at the primary")
    except (RedisError, OSError) as error:
        message = f"{where} does not answer: runs are accepted and wait, none begins ({said(error)})"
        yield warning("redis", message, causes.mend_of_redis(error))
    else:
        yield fine("redis", f"{where} answers and takes wake-ups of workers")


def _templates() -> Iterator[Finding]:
    listing = extension().templates.list()
    # What is wrong with fetching repositories is told by a check of its own.
    problems = [one for one in listing.problems if not is_of_repository(one)]
    warnings = [one for one in listing.warnings if not is_of_repository(one)]
    for problem in problems[:MAX_PROBLEMS]:
        shown = replace(problem, file=problem.path or problem.file)
        yield warning("templates", str(shown), _mend_of_template(shown))
    of_templates = [one for one in problems if not is_of_location(one)]
    broken = {one.template or one.file for one in of_templates}
    if len(broken) > 1 or len(problems) > MAX_PROBLEMS:
        message = f"{counted(len(of_templates), 'problem')} in {counted(len(broken), 'template')} that cannot be used"
        folders = shlex.join(str(folder) for folder in extension().config.template_path)
        yield warning("templates", message, f"flask actions template lint {folders}")
    if warnings:
        first = warnings[0]
        told = counted(len(warnings), "warning")
        about = counted(len({one.template for one in warnings}), "template")
        message = f"{told} about {about} that can be used, such as {replace(first, file=first.path or first.file)}"
        yield fine("templates", message)
    # Our own source says this with a line; a host's source may know nothing of actions.
    for template in listing.templates:
        for step in template.steps:
            if step.action not in extension().registry:
                message = f"the template {template.name} wants {step.action} in its step {step.id}: it is not installed"
                yield warning("templates", message, f"install the package that brings {step.action}, or correct it")


def _mend_of_template(problem: TemplateFinding) -> str:
    if problem.write:
        return f"write {problem.write} in line {problem.line} of {problem.file}; it is read again by itself"
    if problem.file in {str(folder) for folder in extension().config.template_path}:
        return "make the folder readable, or correct PORTAL_ACTIONS_TEMPLATE_PATH"
    return f"correct line {problem.line} of {problem.file}; it is read again by itself"


def _template_sources() -> Iterator[Finding]:
    findings = {one.file: one.message for one in extension().checkouts.findings()}
    for source in sources():
        name, state = source.repository.name, source.state
        if name in findings:
            yield warning(_SOURCES, findings[name], f"correct what it says, then: {_REFRESH}")
        else:
            seen = moment(state.seen_at)
            yield fine(
                _SOURCES,
                f"{name}: commit {state.commit[:SHORT_COMMIT]} of {moment(state.fetched_at)}, looked at {seen}",
            )


def _settings() -> Iterator[Finding]:
    config = extension().config
    if not current_app.secret_key:
        message = "SECRET_KEY is not set: the buttons of the pages are refused, since forms cannot be signed"
        yield critical("settings", message, 'SECRET_KEY=$(python -c "import secrets; print(secrets.token_hex(32))")')
    if config.require_authorizer and not extension().hooks.authorizer:
        message = "PORTAL_ACTIONS_REQUIRE_AUTHORIZER is set and no authorizer is registered: nobody may do anything"
        yield critical("settings", message, "register one where the app is made: @plugin.authorizer")
    if not config.secret_keys and (wanting := _wanting_secrets()):
        message = f"PORTAL_ACTIONS_SECRET_KEYS is not set: starts with secrets are refused, such as of {wanting[0]}"
        yield warning("settings", message, f"PORTAL_ACTIONS_SECRET_KEYS=$({NEW_KEY})")
    if not config.public_url:
        yield fine("settings", "PORTAL_ACTIONS_PUBLIC_URL is not set: links made in workers have no host name")


def _wanting_secrets() -> Sequence[str]:
    parts = extension()
    needing = {action.id: action for action in parts.registry if action.needs_a_secret()}
    # Those that come with this package are there in every portal: they count where a template uses them.
    wanting = [name for name, action in needing.items() if not action.handler.__module__.startswith(OUR_ACTIONS)]
    # A source that fails or hangs has its own finding.
    with suppress(Exception, TimeLimitError), time_limit(TEMPLATES_SECONDS):
        listed = parts.templates.list().templates
        wanting += [
            template.name
            for template in listed
            if template.secret_names
            or template.requester_secrets
            or any(step.action in needing for step in template.steps)
        ]
    return wanting


OF_THE_DATABASE = (
    Check("database", _database, spoils_the_rest=True),
    Check("clock", _clock, "the database's and this machine's agree"),
    Check("tables", _tables, spoils_the_rest=True),
    Check("writing", _writable, "the database takes writes"),
)
OTHERS = (
    Check("redis", _redis),
    Check("templates", _templates, "every template file can be used"),
    Check(_SOURCES, _template_sources, "no repositories are set"),
    Check("settings", _settings, "nothing is missing"),
)
