"""Why the database refused a look or a write, and so what mends it: an advice that does not help costs time."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

MEND_DATABASE = "start the database or let this machine reach it, or correct PORTAL_ACTIONS_DATABASE_URL"
MEND_NETWORK = (
    "it looks like the network: start the database, let this machine reach it, or correct host and port in "
    "PORTAL_ACTIONS_DATABASE_URL"
)
MEND_CREDENTIALS = (
    "it looks like the password: correct user and password in PORTAL_ACTIONS_DATABASE_URL, or what the server's "
    "pg_hba.conf asks of that user"
)
MEND_NAME = "it looks like the name: correct the database's in PORTAL_ACTIONS_DATABASE_URL, or create it"
MEND_SETTLING = "the server starts, stops or recovers: wait a moment, and read its log should it stay so"
MEND_CROWDED = "the server has no connection left: raise its max_connections, or let web processes and workers be fewer"
MEND_LOCKED = (
    "somebody keeps a table locked: look at pg_stat_activity and pg_blocking_pids(), and end that session, "
    "such as with pg_terminate_backend(pid)"
)
MEND_LOCKED_FILE = "somebody keeps the file locked: look who has it open with fuser, and end that process"
MEND_READ_ONLY = "point PORTAL_ACTIONS_DATABASE_URL at the primary, or end what makes it read-only"
MEND_READ_ONLY_FILE = "give this user the right to write the file and its folder, or mount it for writing"
MEND_RIGHTS = (
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA … TO the user of PORTAL_ACTIONS_DATABASE_URL"
)
MEND_TABLES = "flask actions db upgrade"
"""A table or a column that is missing."""

MEND_DAMAGED = (
    "stop web processes and workers, and bring back the last backup: docs, Operating; what a damaged file still holds: "
    "sqlite3 FILE .recover"
)
MEND_REDIS_CREDENTIALS = (
    "it looks like the password: correct user and password in PORTAL_ACTIONS_REDIS_URL (redis://user:password@host:6379/0), "
    "or what Redis's ACL lets that user do"
)
_MEND_REDIS = "start Redis or let this machine reach it, or correct PORTAL_ACTIONS_REDIS_URL"
_MEND_REDIS_BY_WORDS = {
    "invalid username-password": MEND_REDIS_CREDENTIALS,
    "Authentication required": MEND_REDIS_CREDENTIALS,
    "loading the dataset": "it reads its data from disk: wait a moment, and read its log should it stay so",
    "max number of clients": "it has no connection left: raise its maxclients, or let web processes and workers be fewer",
    "Name or service not known": "it looks like the name: correct the host in PORTAL_ACTIONS_REDIS_URL",
    "Temporary failure in name resolution": "no name can be resolved: correct this machine's DNS",
    "CERTIFICATE_VERIFY_FAILED": "this machine does not trust its certificate: name its CA in PORTAL_ACTIONS_REDIS_URL "
    "(rediss://…?ssl_ca_certs=FILE)",
    "WRONG_VERSION_NUMBER": "it speaks no TLS there: write redis:// instead of rediss://, or correct the port",
}

_BY_STATE = {
    "57014": MEND_LOCKED,  # a statement_timeout
    "55P03": MEND_LOCKED,  # a lock_timeout
    "42P01": MEND_TABLES,
    "42703": MEND_TABLES,
    "42501": MEND_RIGHTS,
    "25006": MEND_READ_ONLY,
    "53300": MEND_CROWDED,
    "57P03": MEND_SETTLING,
}
_BY_WORDS = {
    "database disk image is malformed": MEND_DAMAGED,
    "file is not a database": MEND_DAMAGED,
    "database is locked": MEND_LOCKED_FILE,
    "no such table": MEND_TABLES,
    "no such column": MEND_TABLES,
    "readonly database": MEND_READ_ONLY_FILE,
    # PostgreSQL's driver gives no code to a failure to connect. A role that is unknown comes before a database is.
    "password authentication failed": MEND_CREDENTIALS,
    "no password supplied": MEND_CREDENTIALS,
    "authentication failed": MEND_CREDENTIALS,
    "pg_hba.conf": MEND_CREDENTIALS,
    'role "': MEND_CREDENTIALS,
    'FATAL:  database "': MEND_NAME,
    "too many clients": MEND_CROWDED,
    "too many connections": MEND_CROWDED,
    "remaining connection slots": MEND_CROWDED,
    "the database system is": MEND_SETTLING,
    "resolve host": MEND_NETWORK,
    "translate host name": MEND_NETWORK,
    "Connection refused": MEND_NETWORK,
    "No route to host": MEND_NETWORK,
    "Network is unreachable": MEND_NETWORK,
    "timeout expired": MEND_NETWORK,
    "No such file or directory": MEND_NETWORK,
    "server closed the connection": MEND_NETWORK,
}


def mend_of(error: SQLAlchemyError) -> str | None:
    """What mends the cause of an error, for people.

    Args:
        error: of a look or a write.

    Returns:
        What to do, in one sentence; None when the error does not name its cause.
    """
    cause = error.orig if isinstance(error, DBAPIError) else None
    by_state = _BY_STATE.get(getattr(cause, "sqlstate", None) or "")
    return by_state or next((mend for words, mend in _BY_WORDS.items() if words in str(cause)), None)


def mend_of_redis(error: Exception) -> str:
    """What mends the cause of Redis's silence, for people, in one sentence."""
    return next((mend for words, mend in _MEND_REDIS_BY_WORDS.items() if words in str(error)), _MEND_REDIS)


def is_locked(error: SQLAlchemyError) -> bool:
    """Whether an error says that somebody keeps a lock: what looks next would most likely wait as long."""
    return mend_of(error) in (MEND_LOCKED, MEND_LOCKED_FILE)
