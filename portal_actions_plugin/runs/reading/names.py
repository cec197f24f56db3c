"""What people, template runs and their inputs are called, where only ids are at hand: a few look-ups by index for a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import ScalarSelect, func, null, select

from portal_actions_plugin.software_templates.parameters.schemas import declared, modern
from portal_actions_plugin.storage import tables
from portal_actions_plugin.storage.sessions import reading


def names_of_people(ids: Iterable[str]) -> dict[str, str]:
    """The names that people had at their last template run, or one-off, by their ids; who has started nothing has none.

    Args:
        ids: of identities, as many as a page shows.
    """
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        return {}
    columns = [func.coalesce(_of_template_run(one), _of_one_off(one)).label(f"n{n}") for n, one in enumerate(wanted)]
    with reading() as db:
        [row] = db.rows(select(*columns, null().label("end")))
    return {one: row[f"n{n}"] for n, one in enumerate(wanted) if row[f"n{n}"]}


def _of_template_run(identity_id: str) -> ScalarSelect[str]:
    runs = tables.template_runs.c
    newest = select(runs.requester_name).where(runs.requested_by == identity_id).order_by(runs.queued_at.desc())
    return newest.limit(1).scalar_subquery()


def _of_one_off(identity_id: str) -> ScalarSelect[str]:
    runs = tables.action_runs.c
    own = (runs.requested_by == identity_id, runs.template_run_id.is_(None))
    return select(runs.requester_name).where(*own).order_by(runs.queued_at.desc()).limit(1).scalar_subquery()


def titles_of_template_runs(ids: Iterable[str]) -> dict[str, str]:
    """The titles of template runs by their ids; what is no template run, or gone by now, has none."""
    runs = tables.template_runs.c
    wanted = set(ids)
    if not wanted:
        return {}
    with reading() as db:
        return {row["id"]: row["title"] for row in db.rows(select(runs.id, runs.title).where(runs.id.in_(wanted)))}


def titles_of_inputs(run_id: str) -> dict[str, str]:
    """What its template called the inputs of a template run, by their names: those that have a title."""
    with reading() as db:
        row = db.row(select(tables.template_runs.c.definition).where(tables.template_runs.c.id == run_id))
    if row is None:
        return {}
    found = [parameter for form in row["definition"]["parameters"] for parameter in declared(modern(form)).items()]
    return {name: title for name, schemas in reversed(found) if (title := _title(schemas))}


def _title(schemas: Iterable[object]) -> str:
    titles = (schema.get("title") for schema in schemas if isinstance(schema, Mapping))
    return next((title for title in titles if isinstance(title, str)), "")
