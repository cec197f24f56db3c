"""The workspace of an attempt: brought when its handler asks for it, and kept again when that has succeeded."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from portal_actions_plugin.actions.workspace import Workspace
from portal_actions_plugin.errors import ActionError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.attempt.time_left import ride_out_a_lease
from portal_actions_plugin.runs.resume import uses_workspace
from portal_actions_plugin.runs.workspaces import folders, generations, lifetime, travel
from portal_actions_plugin.runs.workspaces.generations import Place
from portal_actions_plugin.runs.workspaces.scanning import Limits
from portal_actions_plugin.runs.workspaces.stores.opening import store
from portal_actions_plugin.runs.workspaces.stores.store import RUNS, Shelf
from portal_actions_plugin.runs.workspaces.travel import Secrets
from portal_actions_plugin.storage import away
from portal_actions_plugin.storage.pause_points import reached
from portal_actions_plugin.storage.sessions import single_read

if TYPE_CHECKING:
    from portal_actions_plugin.actions.registry import WorkspaceUse
    from portal_actions_plugin.runner.attempt.queued_run import QueuedRun
    from portal_actions_plugin.runs.secrets.redaction import Redactor
    from portal_actions_plugin.runs.workspaces.generations import Generation, NewGeneration

log = logging.getLogger(__name__)


class WorkingFolder:
    """The folder of a job process that its steps have their workspaces in, one at a time.

    What the last step has left there stays for the next one of the same run: it need not travel then.
    """

    def __init__(self, process_token: str) -> None:
        self._process_token = process_token
        self._folder: Path | None = None
        self._hold: folders.Hold | None = None
        self._run_id: str | None = None

    def of_run(self, run_id: str) -> Path:
        """The folder, empty unless a step of this template run had it last."""
        if self._folder is None or self._run_id != run_id:
            self.remove()
            self._folder, self._run_id = folders.make(self._process_token), run_id
            self.hold()
        return self._folder

    def hold(self) -> None:
        """Keep hold of it, also where another folder is in its place: a handler may have removed it."""
        if self._folder is None or (self._hold is not None and self._hold.is_of(self._folder)):
            return
        if self._hold is not None:
            self._hold.let_go()
        self._hold = folders.Hold(self._folder)

    def remove(self) -> None:
        """Remove it: nothing of a run stays on the machine when the process stands by."""
        if self._folder is not None:
            folders.remove_tree(self._folder)
            self._folder = None
        if self._hold is not None:
            self._hold.let_go()


class AttemptWorkspace:
    """The workspace of one attempt of a step."""

    def __init__(self, run: QueuedRun, use: WorkspaceUse | None, working: WorkingFolder, redactor: Redactor) -> None:
        self._run = run
        self._use = use
        self._working = working
        self._redactor = redactor
        self._open: tuple[Workspace, Generation] | None = None

    @property
    def opener(self) -> Callable[[], Workspace] | None:
        """What the handler's context asks for the workspace; None for a handler that may not have any."""
        return self.open if self._use and self._run.course else None

    def open(self) -> Workspace:
        """The workspace as the last finished step has left it.

        Raises:
            ConflictError, ConfigurationError: it cannot be had any more, or not by this process.
            RemoteError: its store, or the database, does not answer.
        """
        if self._open is None:
            keys, run_id = extension().config.secret_keys, str(self._run.ref.template_run_id)
            generation = ride_out_a_lease(partial(_newest, run_id, keys))
            folder = self._working.of_run(run_id)
            # The store may be the database.
            ride_out_a_lease(partial(travel.bring, generation, folder, store()))
            self._working.hold()
            reached("workspace.brought")
            self._open = Workspace(folder), generation
        return self._open[0]

    def save(self) -> NewGeneration | None:
        """Keep what a handler that writes has changed: the row to be written with its success, if any.

        Raises:
            ValidationError: it holds more than it may, or what cannot be kept.
            ConfigurationError: it holds a secret, and there is no key to seal that with.
            RemoteError: its store, or the database, does not answer.
        """
        if self._open is None or self._use != "writes":
            return None
        config = extension().config
        workspace, before = self._open
        limits = Limits(config.max_workspace_bytes, config.max_workspace_files)
        secrets = Secrets(config.secret_keys, self._redactor, self._run.sealed is not None)
        failure = self._run.course.failure if self._run.course else None
        place = Place(self._run.position, failure.position if failure else None)
        new = ride_out_a_lease(partial(travel.save, before, workspace.folder, place, store(), limits, secrets))
        reached("workspace.saved")
        return new


def _newest(run_id: str, keys: tuple[str, ...]) -> Generation:
    with single_read() as db:
        return generations.newest(db, run_id, keys)


def forget_replaced(new: NewGeneration | None) -> None:
    """Delete the contents that a recorded step has replaced; what is left by a process that dies goes with its run."""
    if new and new.replaced:
        _quietly(partial(store().delete, Shelf(RUNS, new.values["template_run_id"]), new.replaced))


def forget_finished(run: QueuedRun) -> None:
    """Delete the workspace of a template run that has succeeded: nobody can resume it."""
    if run.course and run.ref.template_run_id and uses_workspace(run.course.template):
        _quietly(partial(lifetime.forget, run.ref.template_run_id))


def _quietly(work: Callable[[], None]) -> None:
    """Do what upkeep does as well, some minutes later."""
    try:
        work()
    except ActionError as error:
        log.warning("contents of a workspace stay for now: %s", error.message)
    except Exception as error:
        if not away.is_away(error):
            raise
        away.bear(error, log, "contents of a workspace stay for now")
