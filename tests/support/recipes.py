"""The recipes of CONTRIBUTING as edits, and the patches that are made of them: ``make recipes``.

An edit finds its place by what stands there, so a patch that a rename has broken is made again by this script. The
patches are what is applied and proved: see ``tests/end_to_end/test_recipes.py``.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PATCHES = ROOT / "tests" / "end_to_end" / "recipes"

Change = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of one file, or a new file where there is none of that name. ``path`` may be a pattern that one file fits."""

    path: str
    changes: tuple[Change, ...]

    def file(self) -> Path:
        found = sorted(ROOT.glob(self.path))
        return found[0] if len(found) == 1 else ROOT / self.path


def before(pattern: str, added: str) -> Change:
    """Add lines before the first line that has the pattern."""
    return lambda text: _at_line(text, pattern, lambda line: added + line)


def after(pattern: str, added: str) -> Change:
    """Add lines after the first line that has the pattern."""
    return lambda text: _at_line(text, pattern, lambda line: line + added)


def like(pattern: str, old: str, new: str) -> Change:
    """Add, after the first line that has the pattern, the same line with another word in it."""
    return lambda text: _at_line(text, pattern, lambda line: line + line.replace(old, new))


def instead(pattern: str, new: str) -> Change:
    """Put something else in every place of the pattern."""

    def change(text: str) -> str:
        changed, times = re.subn(pattern, new, text, flags=re.MULTILINE)
        if not times:
            raise LookupError(f"there is no {pattern!r}")
        return changed

    return change


def whole(content: str) -> Change:
    """A new file."""
    return lambda _text: content


def _at_line(text: str, pattern: str, change: Change) -> str:
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if re.search(pattern, line):
            lines[number] = change(line)
            return "".join(lines)
    raise LookupError(f"no line has {pattern!r}")


PACKAGE = "portal_actions_plugin"

SETTING = (
    Edit(
        f"{PACKAGE}/settings/config.py",
        (
            before(
                r'^    Setting\("MAX_LOG_LINES"',
                '    Setting("PAGE_ROWS", 50, "How many action runs a page of the list shows."),\n',
            ),
            before(r"^    max_log_lines: int", "    page_rows: int\n"),
            before(r'^ +max_log_lines=read\.count\("', '            page_rows=read.count("PAGE_ROWS"),\n'),
        ),
    ),
    Edit(
        f"{PACKAGE}/blueprints/pages/routes.py",
        (
            after(r"^from portal_actions_plugin\.errors import", f"from {PACKAGE}.extension import extension\n"),
            instead(r"limit=PAGE_SIZE\b", "limit=extension().config.page_rows"),
        ),
    ),
)

ERROR_CODE = (
    Edit(
        f"{PACKAGE}/errors.py",
        (
            before(
                r"^class RateLimitedError",
                '''\
class GoneError(ActionError):
    """It was here, and is not any more."""

    code = "GONE"
    http_status = 410
    hint = "Look for what has taken its place."
    verdict = "Retrying will not help: it does not come back."


''',
            ),
        ),
    ),
)

API_FIELD = (
    Edit(f"{PACKAGE}/run_types.py", (like(r"^    entity: str \| None = None", "entity", "queue"),)),
    Edit(
        f"{PACKAGE}/runs/reading/rows.py",
        (
            instead(r'"process_token", "queue", ', '"process_token", '),
            like(r'^        entity=row\["entity"\]', "entity", "queue"),
        ),
    ),
    Edit(
        f"{PACKAGE}/runs/reading/records.py", (like(r"^    entity: str \| None", "entity: str | None", "queue: str"),)
    ),
    Edit(
        f"{PACKAGE}/blueprints/api/schemas/runs.py",
        (
            after(
                r"^    attempt = fields\.Integer\(required=True\)",
                "    queue = fields.String(\n"
                '        required=True, allow_none=True, metadata={"description": "Which workers it waits for."}\n'
                "    )\n",
            ),
        ),
    ),
)

PAGE_COLUMN = (
    Edit(
        f"{PACKAGE}/jinja/portal_actions/_rows.html",
        (before(r'class="pa-c-link"', '<td role="cell" class="pa-c-attempt">{{ run.attempt }}</td>\n'),),
    ),
    Edit(f"{PACKAGE}/jinja/portal_actions/actions.html", (instead(r'"Duration", ', '"Duration", "Attempt", '),)),
)

COMMAND = (
    Edit(
        f"{PACKAGE}/cli/upkeep.py",
        (
            before(
                r"^COMMANDS = ",
                '''\
@click.command("queues")
@with_appcontext
def queues() -> None:
    """List the queues that actions use."""
    for queue in sorted(queues_in_use()):
        click.echo(queue)


''',
            ),
            instead(r"^COMMANDS = \(worker, ", "COMMANDS = (worker, queues, "),
        ),
    ),
    Edit(
        "docs/commands.md",
        (after(r"^\| `flask actions sweep`", "| `flask actions queues` | lists the queues that actions use |\n"),),
    ),
)

MIGRATION = (
    Edit(f"{PACKAGE}/storage/tables/portal.py", (like(r"^    supervisor\b", "supervisor", "note"),)),
    Edit(
        f"{PACKAGE}/storage/migrations/versions/0010_notes_of_workers.py",
        (
            whole(
                '''\
"""Notes of workers. Code of the version before lives with it.

Revision ID: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

in_stages = True  # On SQLite too: each statement below is committed by itself, and can be repeated.


def upgrade() -> None:
    op.add_column("portal_actions_workers", sa.Column("note", sa.String(255), nullable=True))


def downgrade() -> None:
    op.drop_column("portal_actions_workers", "note")
'''
            ),
        ),
    ),
)

METRIC = (
    Edit(
        f"{PACKAGE}/upkeep/measures.py",
        (
            before(
                r"^COUNTERS = \(",
                'LOCKS = Metric("portal_actions_locks_held", Kind.GAUGE, "Locks that action runs hold.")\n',
            ),
            instead(r"^METRICS = \(UP, ", "METRICS = (UP, LOCKS, "),
            instead(r"gauges = \(\*_queues\(db\), ", "gauges = (_locks(db), *_queues(db), "),
            before(
                r"^# -- counters and histograms -",
                """\
def _locks(db: Transaction) -> Reading:
    (row,) = db.rows(select(func.count().label("locks")).where(tables.action_runs.c.lock_held))
    return Reading(LOCKS, {(): row["locks"]})


""",
            ),
        ),
    ),
    Edit(
        "docs/metrics.md",
        (
            after(
                r"^\| `portal_actions_running`",
                "| `portal_actions_locks_held` | gauge | | locks that action runs hold |\n",
            ),
        ),
    ),
)

ACTION = (
    Edit(
        f"{PACKAGE}/actions/debug.py",
        (
            before(
                r"^class Wait\(Schema\)",
                '''\
@action("debug.echo@v1", title="Echo", input=LogMessage, idempotent=True, timeout=30)
def echo(_ctx: ActionContext, *, message: str) -> dict[str, str]:
    """Give a message back."""
    return {"message": message}


''',
            ),
        ),
    ),
    Edit("docs/writing-actions.md", (after(r"^\| `debug\.log@v1`", "| `debug.echo@v1` | gives a message back |\n"),)),
)

RECIPES = {
    "setting": SETTING,
    "error-code": ERROR_CODE,
    "api-field": API_FIELD,
    "page-column": PAGE_COLUMN,
    "command": COMMAND,
    "migration": MIGRATION,
    "metric": METRIC,
    "action": ACTION,
}


def patch_of(edits: Iterable[Edit]) -> str:
    """The edits as a patch that ``git apply`` takes, with one line of context."""
    return "".join(_diff_of(edit) for edit in edits)


def _diff_of(edit: Edit) -> str:
    file = edit.file()
    name = file.relative_to(ROOT).as_posix()
    old = file.read_text() if file.exists() else ""
    new = old
    for change in edit.changes:
        try:
            new = change(new)
        except LookupError as error:
            raise LookupError(f"{name}: {error}") from None
    diff = difflib.unified_diff(
        old.splitlines(keepends=True),
        new.splitlines(keepends=True),
        f"a/{name}" if file.exists() else "/dev/null",
        f"b/{name}",
        n=1,
    )
    head = f"diff --git a/{name} b/{name}\n" + ("" if file.exists() else "new file mode 100644\n")
    return head + "".join(diff)


def main() -> int:
    failed = 0
    for name, edits in RECIPES.items():
        try:
            (PATCHES / f"{name}.patch").write_text(patch_of(edits))
        except LookupError as error:
            failed = 1
            sys.stderr.write(f"{name}: {error}\n")
    return failed


if __name__ == "__main__":
    sys.exit(main())
