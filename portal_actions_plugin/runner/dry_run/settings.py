"""What is set up about a repository at a forge, kept in place of being written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portal_actions_plugin.runner.dry_run.notes import Kind
from portal_actions_plugin.runner.dry_run.recording import Recording
from portal_actions_plugin.scm.base import Issue, Webhook, WorkflowRun
from portal_actions_plugin.scm.branch_rules import Protected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.base import Collaborator, RepoRef, Variable, WebhookSpec
    from portal_actions_plugin.scm.branch_rules import Protection


class RecordingSettings(Recording):
    """The operations of an ``ScmProvider`` beside repositories, files and pull requests."""

    def configure_repo(self, ref: RepoRef, settings: Mapping[str, JsonValue]) -> None:
        if not self._begun_in(ref, lambda: self._real.configure_repo(ref, settings)):
            self._writes.note(Kind.CHANGE, "settings", self._on(ref), names=sorted(settings))

    def ensure_webhook(self, ref: RepoRef, spec: WebhookSpec) -> Webhook:
        if found := self._begun_in(ref, lambda: self._real.ensure_webhook(ref, spec)):
            return found.value
        self._writes.note(Kind.CHANGE, "webhook", self._on(ref), url=spec.callback_url)
        return Webhook("0", spec.callback_url, "created")

    def protect_branch(self, ref: RepoRef, branch: str, protection: Protection) -> Protected:
        if found := self._begun_in(ref, lambda: self._real.protect_branch(ref, branch, protection), branch):
            return found.value
        self._writes.note(Kind.CHANGE, "protection", f"{branch} of {self._on(ref)}")
        return Protected(changed=True)

    def set_topics(self, ref: RepoRef, topics: Sequence[str]) -> tuple[str, ...]:
        if found := self._begun_in(ref, lambda: self._real.set_topics(ref, topics)):
            return found.value
        self._writes.note(Kind.CHANGE, "topics", self._on(ref), topics=list(topics))
        return tuple(topics)

    def add_collaborators(self, ref: RepoRef, collaborators: Sequence[Collaborator]) -> tuple[str, ...]:
        if found := self._begun_in(ref, lambda: self._real.add_collaborators(ref, collaborators)):
            return found.value
        roles: dict[str, JsonValue] = {one.name: one.role for one in collaborators}
        self._writes.note(Kind.CHANGE, "people", self._on(ref), roles=roles)
        return tuple(roles)

    def set_variable(self, ref: RepoRef, variable: Variable) -> None:
        if not self._begun_in(ref, lambda: self._real.set_variable(ref, variable)):
            what = "secret of the CI" if variable.is_secret else "variable of the CI"
            self._writes.note(Kind.CHANGE, what, f"{variable.name} of {self._on(ref)}")

    def create_issue(
        self,
        ref: RepoRef,
        *,
        title: str,
        body: str,
        labels: Sequence[str],
        assignees: Sequence[str],
        claim: str,
        milestone: int | None = None,
    ) -> Issue:
        ask = self._real.create_issue
        more = {} if milestone is None else {"milestone": milestone}
        found = self._begun_in(
            ref, lambda: ask(ref, title=title, body=body, labels=labels, assignees=assignees, claim=claim, **more)
        )
        if found:
            return found.value
        self._writes.note(Kind.CREATE, "issue", self._on(ref), title=title)
        number = self._of(ref).next_number()
        return Issue(number, f"{self._page_in(ref, 'issues/')}{number}", title, tuple(labels))

    def label_issue(self, ref: RepoRef, number: int, labels: Sequence[str]) -> tuple[str, ...]:
        is_made = self._of(ref).has(number)
        if not is_made and (found := self._begun_in(ref, lambda: self._real.label_issue(ref, number, labels))):
            return found.value
        self._writes.note(Kind.CHANGE, "labels", f"{number} of {self._on(ref)}", labels=list(labels))
        return tuple(labels)

    def dispatch_workflow(
        self, ref: RepoRef, *, workflow: str, branch: str, inputs: Mapping[str, str], claim: str
    ) -> WorkflowRun:
        ask = self._real.dispatch_workflow
        found = self._begun_in(
            ref, lambda: ask(ref, workflow=workflow, branch=branch, inputs=inputs, claim=claim), branch
        )
        if found:
            return found.value
        self._writes.note(Kind.CALL, "run of the CI", f"{workflow} at {branch} of {self._on(ref)}")
        return WorkflowRun("0", self.get_repo(ref.owner, ref.repo).web_url)
