"""``/actions/bulk``: cancel or retry many runs, with a look at what will happen before it does."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Request, Response, request
from werkzeug.datastructures import MultiDict

from portal_actions_plugin.blueprints.pages.form_again import SEEN
from portal_actions_plugin.blueprints.pages.page_answer import page, page_url
from portal_actions_plugin.blueprints.pages.query import ListQuery
from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runs import bulk
from portal_actions_plugin.runs.bulk import MAX_RUNS, OPERATIONS, RETRY
from portal_actions_plugin.runs.guards import access
from portal_actions_plugin.runs.guards.identity import current_identity
from portal_actions_plugin.runs.guards.limits import TooManyStartsError
from portal_actions_plugin.runs.reading import permitted


@dataclass(frozen=True, slots=True)
class BulkQuery:
    """The address of the page, taken apart: what to do, the runs that are selected, and the list to go back to."""

    operation: str
    run_ids: tuple[str, ...]
    list: ListQuery

    @property
    def deed(self) -> str:
        """What a host's copy of the page calls the operation; the name goes with 0.2."""
        return self.operation

    @classmethod
    def of(cls, request: Request) -> BulkQuery:
        """Read a request's address; raises ValidationError for an operation there is none of, and for no or too many runs."""
        operation = request.args.get("do", "")
        if operation not in OPERATIONS:
            raise ValidationError(
                f"There is nothing named {operation[:80]} to do with runs."
                if operation
                else "It is not said what to do.",
                hint="Select runs in the list, then choose below it: Cancel selected or Retry selected.",
            )
        return cls(operation, chosen(request.args), ListQuery.of(request))

    def url(self, run_ids: tuple[str, ...]) -> str:
        """The page for these runs, with the same list to go back to."""
        values = MultiDict(self.list.fields()).to_dict(flat=False)
        return page_url("bulk", **{**values, "do": self.operation, "run": run_ids})


def chosen(given: MultiDict[str, str]) -> tuple[str, ...]:
    """The runs in an address or a form, each once; raises ValidationError for none and for too many."""
    run_ids = tuple(dict.fromkeys(given.getlist("run")))
    if not run_ids:
        raise ValidationError("No run is selected.", hint="Select runs in the list first.")
    if len(run_ids) > MAX_RUNS:
        raise ValidationError(f"{len(run_ids)} runs are selected.", hint=f"Select {MAX_RUNS} at most at a time.")
    return run_ids


def preview() -> Response:
    """Show what would become of the selected runs. Nothing changes."""
    identity = access.require_read(current_identity(), "action:read")
    query = BulkQuery.of(request)
    plans = bulk.plan(identity, query.operation, query.run_ids)
    ready = tuple(plan.run_id for plan in plans if plan.works)
    waiting = tuple(plan.run_id for plan in plans if plan.wait)
    facts = {
        "query": query,
        "plans": plans,
        "ready": ready,
        # Who loads this address again, as after signing in, sees the page again.
        "confirm_url": query.url(ready + waiting) if ready else "",
        "again_url": query.url(query.run_ids) if waiting else "",
        "quota": permitted.starts_left(identity) if query.operation == RETRY else None,
        "starts_period": extension().config.rate_limit.period,
    }
    return page("bulk.html", facts)


def confirm() -> Response:
    """Do it to the runs that were confirmed, and show what became of each."""
    asker = access.require_somebody(current_identity())
    query = BulkQuery.of(request)
    confirmed = chosen(request.form)
    access.require_reader(asker, "action:read", event=f"action_run.{query.operation}", target=confirmed[0])
    key = request.form.get("idempotency_key") or None
    results = bulk.carry_out(asker, query.operation, confirmed, key, _seen_retries(request.form))
    limited = {result.run_id for result in results if isinstance(result.error, TooManyStartsError)}
    left = tuple(run_id for run_id in query.run_ids if run_id in limited or run_id not in confirmed)
    facts = {
        "query": query,
        "results": results,
        "done": sum(result.error is None for result in results),
        "left": len(left),
        "left_url": query.url(left) if left else "",
    }
    return page("bulk_done.html", facts)


def _seen_retries(form: MultiDict[str, str]) -> dict[str, str]:
    """Which retry of each run the preview has shown, empty for none."""
    before = f"{SEEN}."
    return {name.removeprefix(before): value for name, value in form.items() if name.startswith(before)}
