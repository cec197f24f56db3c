"""Tables beside those of runs: what a step shares and repeats, and what belongs to the portal as a whole.

Some are made before anything uses them: a migration that only adds is harmless while workers are at work.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, ColumnClause, Double, ForeignKey, String

from portal_actions_plugin.storage.columns import (
    PREFIX,
    WITHOUT_ROWID,
    Base,
    column,
    identifier,
    integer,
    json_data,
    long_text,
    moment,
    optional,
    sealed,
    word,
)

OLDEST_CODE = "0006"
"""The oldest revision whose code lives with the tables of today; a migration that takes something away raises it."""


def _of_a_template_run() -> ColumnClause[str]:
    """The first part of the primary key of what goes with its template run."""
    return identifier(ForeignKey(f"{PREFIX}template_runs.id", ondelete="CASCADE"), primary_key=True)


class StepListRow(Base):
    """The list that a step with ``each`` goes through, worked out once; of an empty one this row is all there is."""

    __tablename__ = f"{PREFIX}step_lists"

    template_run_id = _of_a_template_run()
    position = integer(primary_key=True, autoincrement=False)
    items = integer()
    made_at = moment()


class StepItemRow(Base):
    """One item of such a list. What became of it is its action run's status, if it has one.

    ``value`` is what ``each.value`` gives; of a run with secrets it is in ``sealed_value`` instead. ``runs`` is whether
    the step's ``if`` held for it.
    """

    __tablename__ = f"{PREFIX}step_items"

    template_run_id = _of_a_template_run()
    position = integer(primary_key=True, autoincrement=False)
    item = integer(primary_key=True, autoincrement=False)
    key = long_text()
    value = optional(json_data())
    sealed_value = optional(sealed())
    runs: ColumnClause[bool] = column(Boolean())


class WorkspaceRow(Base):
    """What a template run's folder held after the step at ``position``: the newest generation is what the next step gets.

    ``manifest`` has mode, size, hash and owning run of each path; of a run with secrets it is in ``sealed_manifest``, and
    ``sealed_key`` opens the contents. ``emptied_at`` says that the contents are gone, though the run is still there.
    """

    __tablename__ = f"{PREFIX}workspaces"

    template_run_id = _of_a_template_run()
    generation = integer(primary_key=True, autoincrement=False)
    position = integer()
    store = word(32)
    manifest = optional(json_data())
    sealed_manifest = optional(sealed())
    sealed_key = optional(sealed())
    files = integer()
    size: ColumnClause[int] = column(BigInteger())
    made_at = moment()
    emptied_at = optional(moment())


class WorkspaceBlobRow(Base):
    """A piece of a file's content, by the hash of the whole; only where contents are kept in PostgreSQL."""

    __tablename__ = f"{PREFIX}workspace_blobs"

    template_run_id = _of_a_template_run()
    sha256 = word(64, primary_key=True)
    piece = integer(primary_key=True, autoincrement=False)
    content = sealed()


class SearchTermRow(Base):
    """A word, folded, and a value of a column that it stands in. Words that begin alike stand together."""

    __tablename__ = f"{PREFIX}search_terms"
    __table_options__ = WITHOUT_ROWID

    # The order of a language has no place where a prefix ends.
    word: ColumnClause[str] = column(
        String(255).with_variant(String(255, collation="C"), "postgresql"), primary_key=True
    )
    field = column(String(64), primary_key=True)
    value = column(String(255), primary_key=True)


class ForgePauseRow(Base):
    """Until when nobody calls a forge with a credential, which is kept as a hash; ``refusals`` in a row make it longer."""

    __tablename__ = f"{PREFIX}forge_pauses"

    installation = word(primary_key=True)
    credential = word(64, primary_key=True)
    until = moment()
    refusals = integer(default=1)


class DatabaseIdentityRow(Base):
    """Which database this is, in one row: names that several portals share on one Redis carry it.

    ``oldest_code`` is the oldest revision whose code still lives with these tables: whoever knows it may work with them.
    """

    __tablename__ = f"{PREFIX}database_identity"

    id = integer(primary_key=True, autoincrement=False)
    identity = identifier()
    made_at = moment()
    oldest_code = word(32)


class MetricSumRow(Base):
    """What a metric has come to over everything up to the watermark: it stays when the runs go."""

    __tablename__ = f"{PREFIX}metric_sums"

    metric = word(64, primary_key=True)
    subject = word(primary_key=True)
    detail = word(32, primary_key=True)
    value: ColumnClause[float] = column(Double())


class MetricWatermarkRow(Base):
    """Up to when everything is in the sums: one row, as soon as anything is."""

    __tablename__ = f"{PREFIX}metric_watermark"

    id = integer(primary_key=True, autoincrement=False)
    summed_until = moment()
