"""What a database has written down of its tables."""

from __future__ import annotations

import re

from sqlalchemy import Engine, text

_STAY = r", (input_fingerprint VARCHAR\(64\)|held_back_at DATETIME|failed_at_step INTEGER)"


def definitions(engine: Engine) -> dict[str, str]:
    """Tables, columns and indexes, by name; columns that stay in SQLite on the way back from 0007 are left out."""
    every = (
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
        if engine.dialect.name == "sqlite"
        else "SELECT indexname, indexdef FROM pg_indexes UNION ALL SELECT table_name || '.' || column_name, data_type "
        "FROM information_schema.columns WHERE table_schema = 'public'"
    )
    with engine.connect() as connection:
        found = connection.execute(text(every)).all()
    return {name: re.sub(_STAY, "", " ".join(sql.replace('"', "").split())) for name, sql in found}
