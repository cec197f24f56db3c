"""An attempt as it is prepared, before its claim: what its handler gets, or why it cannot be called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from portal_actions_plugin.actions.registry import Action
from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.runner.attempt.queued_run import Job, find_action
from portal_actions_plugin.runner.process.own_process import OwnProcess
from portal_actions_plugin.runner.process.shared_memory import SpokenLines
from portal_actions_plugin.runs.changes.claims import Claim
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.storage.away import is_away

GRACE_SECONDS = 3.0
"""How long after its timeout a handler may clean up. Then its parent ends it, whatever it does."""


@dataclass(frozen=True, slots=True)
class Doer:
    """The job process that makes attempts.

    Attributes:
        process_token: every write of an attempt carries it.
        worker: the worker's name, for people.
        may_go_on: whether the process may make one attempt more, of the next step, when one has succeeded.
        spoken: where the lines wait that its handlers say in quick succession.
        ours: knows whether a handler has left the process what it was.
    """

    process_token: str
    worker: str
    may_go_on: Callable[[], bool]
    spoken: SpokenLines
    ours: OwnProcess = field(default_factory=OwnProcess)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is to be claimed, and what the handler is called with.

    Attributes:
        secrets: for the handler alone; ``data`` may hold them too.
        refusal: why the handler cannot be called. The attempt is claimed all the same, and fails with it.
    """

    job: Job
    claim: Claim
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    refusal: Exception | None = None

    def refused(self, why: Exception) -> Attempt:
        """The same, without its input: it fails with this error."""
        return Attempt(self.job, replace(self.claim, input=None), refusal=why)

    def kept_input(self) -> Mapping[str, Any]:
        """What the run keeps of its input: a one-off's as it was given, a step's as it was rendered."""
        return self.job.input if self.claim.input is None else self.claim.input


@dataclass(frozen=True, slots=True)
class Claimed:
    """An attempt that is this process's.

    Attributes:
        asked_at: just before it was claimed, by the machine's monotonic clock.
    """

    attempt: Attempt
    asked_at: float


def prepare(job: Job, doer: Doer, redactor: Redactor) -> Attempt:
    """Render an attempt's input, so that the claim can keep it. What is wrong with it is the attempt's refusal.

    Args:
        job: what is due.
        doer: who will claim it.
        redactor: learns the run's secrets.

    Raises:
        DBAPIError: a database that a lock of the host's asks is away: nothing is wrong with the input.
    """
    lease = extension().config.lease_seconds
    deadline = _timeout(job) + GRACE_SECONDS
    claim = Claim(job.ref, job.attempt, doer.process_token, doer.worker, lease, deadline, job.lock_key())
    attempt = Attempt(job, claim)
    try:
        action: Action = find_action(job.action)
        secrets = job.secrets()
        redactor.add(list(secrets.values()))
        data = job.render_input(secrets)
        redactor.add(list(job.made_of_secrets(secrets, redactor)))
        _require_lock(action, data, claim.lock_key)
        redactor.add([data[name] for name in action.secret_names() if name in data])
        kept = replace(claim, input=redactor.data(data)) if job.course else claim
    except Exception as why:
        if is_away(why):
            raise
        return attempt.refused(why)
    return Attempt(job, kept, secrets, data)


def _timeout(job: Job) -> float:
    parts = extension()
    timeout: float = find_action(job.action).timeout if job.action in parts.registry else parts.config.lease_seconds
    return timeout


def _require_lock(action: Action, data: Mapping[str, Any], held: str | None) -> None:
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
