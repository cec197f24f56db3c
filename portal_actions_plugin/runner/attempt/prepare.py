"""An attempt before its claim: all that it needs is made here, once, by ``prepare``.

That is its action, the key of its lock, its secrets, its input, and what is to be masked; or why it cannot be made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from portal_actions_plugin.actions.context import fingerprint
from portal_actions_plugin.actions.registry import Action
from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.attempt.queued_run import QueuedRun
from portal_actions_plugin.runner.attempt.time_left import GRACE_SECONDS, TellTime
from portal_actions_plugin.runner.attempt.workspaces import WorkingFolder
from portal_actions_plugin.runner.process.own_process import OwnProcess
from portal_actions_plugin.runner.process.shared_memory import SpokenLines
from portal_actions_plugin.runs.changes.claims import Claim
from portal_actions_plugin.runs.course import lock_key_of
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.runs.secrets.requester import require_unended
from portal_actions_plugin.runs.secrets.sealing import unseal
from portal_actions_plugin.storage.away import is_away


def _nobody(_seconds: float) -> None:
    """Tell nobody: nobody watches."""


def _never() -> bool:
    """Go on with nothing: the next step is rung for."""
    return False


@dataclass(frozen=True)
class Performer:
    """The job process that makes attempts.

    Attributes:
        process_token: every write of an attempt carries it.
        worker: the worker's name, for people.
        tell: called with the seconds that an attempt may still take, as soon as it is claimed, and with infinity when
            its handler is through: what comes then is only recorded.
        may_go_on: whether the process may make one attempt more, of the next step, when one has succeeded.
        spoken: where the lines wait that its handlers say in quick succession, for whoever watches over the process.
        ours: knows whether a handler has left the process what it was.
    """

    process_token: str
    worker: str
    tell: TellTime = _nobody
    may_go_on: Callable[[], bool] = _never
    spoken: SpokenLines = field(default_factory=SpokenLines)
    ours: OwnProcess = field(default_factory=OwnProcess)

    @cached_property
    def working_folder(self) -> WorkingFolder:
        """Where its steps have their workspaces, one at a time."""
        return WorkingFolder(self.process_token)


@dataclass(frozen=True, slots=True)
class HandlerCall:
    """What is called, and with what.

    Attributes:
        action: whose handler it is.
        input: as its handler gets it, by field; secret fields may be among them.
        secrets: for the handler alone, by name.
    """

    action: Action
    input: Mapping[str, object] = field(repr=False)
    secrets: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PreparedAttempt:
    """What is to be claimed, and what is called then.

    Attributes:
        run: the queued run that it is an attempt of.
        claim: the wish to make it.
        call: what is called; or why nothing can be. The attempt is claimed all the same then, and fails with that.
    """

    run: QueuedRun
    claim: Claim
    call: HandlerCall | Exception

    def refused(self, why: Exception) -> PreparedAttempt:
        """An attempt of this run without an input, which fails with this error."""
        return PreparedAttempt(self.run, replace(self.claim, input=None, input_fingerprint=None), why)

    def kept_input(self) -> Mapping[str, object]:
        """What the run keeps of its input, masked: a one-off's as it was given, a step's as it was rendered."""
        return self.run.input if self.claim.input is None else self.claim.input


@dataclass(frozen=True, slots=True)
class Claimed:
    """An attempt that is this process's.

    Attributes:
        attempt: as it was prepared.
        asked_at: just before it was claimed, in seconds of the machine's monotonic clock.
    """

    attempt: PreparedAttempt
    asked_at: float


def prepare(run: QueuedRun, performer: Performer, redactor: Redactor) -> PreparedAttempt:
    """Make all that an attempt needs. What is wrong with its input is why its handler cannot be called.

    Args:
        run: what is due.
        performer: who will claim it.
        redactor: learns the run's secrets, and what its template has made of them.

    Returns:
        The attempt, to be claimed in any case. Its claim has the input as people may see it, where that is a step's.

    Raises:
        DBAPIError: a database that a lock of the host's asks is away: nothing is wrong with the input.
    """
    config = extension().config
    action = _installed(run.action)
    lock_key = _lock_key(run, action)
    deadline = (action.timeout if action else config.lease_seconds) + GRACE_SECONDS
    claim = Claim(
        run.ref, run.attempt, performer.process_token, performer.worker, config.lease_seconds, deadline, lock_key
    )
    try:
        if action is None:
            raise _not_installed(run.action)
        if run.course:
            require_unended(run.course.template, run.position, run.sealed)
        secrets = unseal(run.sealed, config.secret_keys)
        redactor.add([*secrets.values(), *config.environment.secrets.values()])
        run = run.opened(config.secret_keys)
        data = run.render_input(secrets)
        redactor.add(list(run.made_of_secrets(secrets, redactor)))
        _require_lock(action, data, lock_key)
        redactor.add([data[name] for name in action.secret_names() if name in data])
        claim = replace(claim, input=redactor.data(data)) if run.course else claim
        claim = replace(claim, input_fingerprint=fingerprint(run.input if claim.input is None else claim.input))
    except Exception as why:
        if is_away(why):
            raise
        return PreparedAttempt(run, claim, why)
    return PreparedAttempt(run, claim, HandlerCall(action, data, secrets))


def _installed(action_id: str) -> Action | None:
    registry = extension().registry
    return registry.get(action_id) if action_id in registry else None


def _not_installed(action_id: str) -> ConfigurationError:
    return ConfigurationError(
        f"The action {action_id} is not installed in this worker.",
        hint="Tell your platform team: install the package that brings it, for web and workers alike.",
    )


def _lock_key(run: QueuedRun, action: Action | None) -> str | None:
    """What only this run may write while it runs; None also when that cannot be worked out."""
    if action is None:
        return None
    return run.course.lock_key(run.position, action) if run.course else lock_key_of(action, run.input)


def _require_lock(action: Action, data: Mapping[str, object], held: str | None) -> None:
    """Let no handler run without the lock that its real input asks for."""
    try:
        needed = action.lock_key(data)
    except Exception:
        # Most likely the input is wrong, and then that is what to say.
        action.load_input(data)
        raise
    if needed != held:
        raise ConfigurationError(
            f"The lock of {action.id} is not the same for the input that was queued and the one that was rendered.",
            hint="Tell your platform team: a lock may depend on the input alone, and not on a secret.",
        )
