"""Make a new, empty migration: python .ci/migration.py "Notes of workers". ``make migration NAME=…`` calls it."""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parent.parent / "portal_actions_plugin" / "storage" / "migrations"

NEXT = """\
What to do next:
1. Write upgrade() and downgrade(). It only adds: columns that may be NULL, indexes, tables. The version before lives with it.
   Each statement is committed by itself, so each has to leave tables that both versions can use.
2. Say the same in storage/tables/: a test compares both.
3. Rows that are there already are filled in by the sweeper, in batches, not here.
4. Raise OLDEST_CODE in storage/tables/common.py only when it takes away what older code needs.
5. Raise NEWEST in tests/storage/test_upgrades.py, and run: make test ARGS="tests/storage tests/web/test_doctor.py"
6. Say in CHANGELOG.md what the tables have now.
"""


def main(words: list[str]) -> int:
    name = " ".join(words).strip().rstrip(".")
    if not re.search(r"[a-z]", name, re.IGNORECASE) or '"' in name or "\\" in name:
        print('Name it, in words: make migration NAME="Notes of workers"', file=sys.stderr)
        return 2
    made = make(name[0].upper() + name[1:])
    print(f"{made.relative_to(Path.cwd()) if made.is_relative_to(Path.cwd()) else made}\n\n{NEXT}", end="")
    return 0


def make(name: str) -> Path:
    """Write the file that comes after the newest migration; returns where it is."""
    config = Config(cmd_opts=Namespace(quiet=True))
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.set_main_option("truncate_slug_length", "60")
    script = ScriptDirectory.from_config(config)
    newest = script.get_current_head()
    made = script.generate_revision(f"{int(newest or 0) + 1:04}", name, head="head")
    if made is None:
        raise RuntimeError("alembic has made no file")
    return Path(made.path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
