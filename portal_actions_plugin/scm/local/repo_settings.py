"""Settings of a local repository: topics, people, webhooks, protection and variables, kept as records."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from portal_actions_plugin.scm.base import Protection, Webhook
from portal_actions_plugin.scm.local.git import locked
from portal_actions_plugin.scm.local.records import SETTINGS, read_json, write_json
from portal_actions_plugin.scm.secret_fingerprints import fingerprint, matches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.base import Collaborator, Guard, PullDetails, Variable, WebhookSpec

    Settings = dict[str, JsonValue]


_NAMED = ("required_reviews", "required_checks", "code_owners")


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """The settings of one repository: a file for each kind, so that each is changed as a whole.

    Attributes:
        path: the repository's folder.
        name: what errors call it: ``owner/repo``.
        guard: called right before every write; raises when nothing may be written any more.
    """

    path: Path
    name: str
    guard: Guard

    def topics(self) -> tuple[str, ...]:
        """The topics, in the order in which they came."""
        return tuple(self._read("topics"))

    def add_topics(self, topics: Sequence[str]) -> tuple[str, ...]:
        """Add topics; returns those that were missing."""
        return self._set_all("topics", dict.fromkeys(topics, True))

    def set_collaborators(self, collaborators: Sequence[Collaborator]) -> tuple[str, ...]:
        """Set what people and teams may do; returns the names of those for whom anything changed."""
        wanted: Settings = {one.name: {"role": one.role, "isTeam": one.is_team} for one in collaborators}
        return self._set_all("collaborators", wanted)

    def protect(self, branch: str, protection: Protection) -> bool:
        """Keep how a branch is to be protected; returns whether it was kept otherwise before."""
        wanted: JsonValue = {
            "requiredReviews": protection.required_reviews,
            "requiredChecks": list(protection.required_checks),
            "codeOwners": protection.code_owners,
            **{name: value for name, value in _more(protection).items() if value != _more(Protection())[name]},
        }
        return bool(self._set_all("protection", {branch: wanted}))

    def configure(self, settings: Mapping[str, JsonValue]) -> None:
        """Keep what the repository is to be set to."""
        self._set_all("settings", dict(settings))

    def detail_pull(self, number: int, details: PullDetails) -> None:
        """Keep who is to look at a pull request, and its labels."""
        kept: JsonValue = json.loads(json.dumps(asdict(details)))
        self._set_all("pulls", {str(number): kept})

    def set_variable(self, variable: Variable) -> None:
        """Keep a variable. Of a secret only the name is kept: there is no CI here that could use it."""
        kept: Settings = {"isSecret": variable.is_secret, "isProtected": variable.is_protected}
        if not variable.is_secret:
            kept["value"] = variable.value
        self._set_all("variables", {variable.name: kept})

    def set_webhook(self, spec: WebhookSpec, url_of: Callable[[str], str]) -> Webhook:
        """Keep a webhook; the one of the same address is updated where its events or its secret differ.

        Args:
            spec: as it should be.
            url_of: gives the page of a webhook by its id.
        """
        with self._locked():
            kept = self._read("webhooks")
            before = kept.get(spec.callback_url)
            if isinstance(before, dict) and _is_as(before, spec):
                return Webhook(str(before["id"]), url_of(str(before["id"])), "unchanged")
            hook_id = str(before["id"]) if isinstance(before, dict) else str(len(kept) + 1)
            secret = None if spec.secret is None else fingerprint(spec.secret)
            kept[spec.callback_url] = {"id": hook_id, "events": list(spec.events), "secret": secret}
            self._write("webhooks", kept)
            return Webhook(hook_id, url_of(hook_id), "created" if before is None else "updated")

    def _set_all(self, kind: str, wanted: Settings) -> tuple[str, ...]:
        """Set some entries of a kind and leave the others; returns the names of those that differed."""
        with self._locked():
            kept = self._read(kind)
            changed = tuple(name for name, value in wanted.items() if kept.get(name) != value)
            if changed:
                self._write(kind, {**kept, **wanted})
        return changed

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self.path, self.name)

    def _read(self, kind: str) -> Settings:
        return read_json(self.path / SETTINGS / f"{kind}.json", f"the {kind} of {self.name}") or {}

    def _write(self, kind: str, value: Settings) -> None:
        self.guard()
        folder = self.path / SETTINGS
        folder.mkdir(exist_ok=True)
        write_json(folder / f"{kind}.json", value)


def _more(protection: Protection) -> Settings:
    """What else of a protection there is to keep."""
    kept: Settings = json.loads(json.dumps(asdict(protection)))
    return {name: value for name, value in kept.items() if name not in _NAMED}


def _is_as(kept: Settings, spec: WebhookSpec) -> bool:
    secret = kept["secret"]
    same = (
        matches(secret, spec.secret) if isinstance(secret, str) and spec.secret is not None else secret is spec.secret
    )
    return same and kept["events"] == list(spec.events)
