"""The forges that the contract's table is tried on, by one set of names: the local one, and the doubles of the remote ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from portal_actions_plugin.actions.context import ActionContext, RunInfo
from portal_actions_plugin.scm.base import Author, FileChange, RepoRef
from portal_actions_plugin.scm.local.provider import open_local
from portal_actions_plugin.scm.local.records import ISSUES, SETTINGS, read_json
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.scm.provider import ScmProvider
from portal_actions_plugin.settings.installations import Installation
from tests.support.action_helpers import MemoryRecorder
from tests.support.forges.faults import Faults, Respond
from tests.support.forges.github import GitHubDouble, secondary_limit
from tests.support.forges.github.answers import too_many
from tests.support.forges.gitlab import OWNER, GitLabDouble
from tests.support.forges.request_log import RequestLog

ADA = Author("Ada Lovelace", "ada@example.org")
OWNER_NAME = "acme"
Files = Mapping[str, bytes]


@dataclass
class KeptPauses:
    """Keeps pauses in a list, and lets nobody wait."""

    begun: list[tuple[str, str, float | None]] = field(default_factory=list)

    def wait(self, _installation: str, _credential: str) -> float:
        return 0.0

    def begin(self, installation: str, credential: str, seconds: float | None) -> float:
        self.begun.append((installation, credential, seconds))
        return 60.0 if seconds is None else seconds


@dataclass(frozen=True)
class KeptNotes:
    """A provider's notes, where the run's checkpoints are."""

    recorder: MemoryRecorder

    def load(self, key: str) -> Any:
        return self.recorder.load_checkpoint(key)[1]

    def save(self, key: str, value: object) -> None:
        self.recorder.save_checkpoint(key, value)


class Bench(Protocol):
    """A forge that tests prepare, use through the provider, and look at.

    Attributes:
        name: the provider's.
        is_remote: whether there is a network between.
    """

    name: str
    is_remote: bool

    def open(self, opening: Opening) -> ScmProvider:
        """The provider."""

    def installation(self, credential: str = "full") -> Installation:
        """The installation; the credential is one of full, weak (reads only) and unknown."""

    def add(self, repo: str, files: Files | None) -> None:
        """A repository of somebody else, with one commit of files on main or empty."""

    def push(self, repo: str, branch: str, files: Files) -> None:
        """A commit of somebody else's, on a branch that is made when it is missing."""

    def exists(self, repo: str) -> bool:
        """Whether there is such a repository."""

    def commits(self, repo: str, branch: str = "main") -> int:
        """How many commits a branch has; 0 when it is missing."""

    def files(self, repo: str, branch: str = "main") -> dict[str, bytes]:
        """What is in a branch."""

    def pulls(self, repo: str) -> list[tuple[str, str, str]]:
        """Head, base and state (open, closed or merged) of every pull request."""

    def hooks(self, repo: str) -> list[str]:
        """The addresses that webhooks call."""

    def protected(self, repo: str) -> list[str]:
        """The branches that are protected."""

    def topics(self, repo: str) -> list[str]:
        """The topics."""

    def people(self, repo: str) -> list[str]:
        """Who was added to it, invited or not."""

    def variables(self, repo: str) -> list[str]:
        """The names of the variables and secrets of its CI."""

    def issues(self, repo: str) -> list[tuple[str, list[str]]]:
        """Title and labels of every issue."""

    def runs(self, repo: str) -> int:
        """How many runs of its CI there are."""


class RemoteBench(Bench, Protocol):
    """A double.

    Attributes:
        faults, log: of its server.
        url: where it is.
    """

    faults: Faults
    log: RequestLog
    url: str

    def limited(self, retry_after: int) -> Respond:
        """What it answers above its limit, which names a time."""

    def limited_without_time(self) -> Respond:
        """What it answers above a limit that names none."""


class LocalBench:
    name, is_remote = "local", False

    def __init__(self, folder: Path) -> None:
        self._root = folder / "repositories"
        (self._root / OWNER_NAME).mkdir(parents=True)

    def installation(self, credential: str = "full") -> Installation:
        assert credential == "full", "it has no credentials"
        return Installation("local", "local")

    def open(self, opening: Opening) -> ScmProvider:
        return open_local(opening)

    def opening(self, **options: Any) -> Opening:
        return Opening(self.installation(), ADA, local_root=self._root, **options)

    def add(self, repo: str, files: Files | None) -> None:
        forge = self._forge
        made = forge.create_repo(
            OWNER_NAME, repo, visibility="private", description="", init_with_readme=False, claim=""
        )
        if files is not None:
            forge.put_files(made.ref, "main", _changes(files), "Begin")

    def push(self, repo: str, branch: str, files: Files) -> None:
        self._forge.put_files(self._ref(repo), branch, _changes(files), "Somebody else's", base_branch="main")

    def exists(self, repo: str) -> bool:
        return (self._root / OWNER_NAME / f"{repo}.git").is_dir()

    def commits(self, repo: str, branch: str = "main") -> int:
        return len(self._forge.log(self._ref(repo), branch))

    def files(self, repo: str, branch: str = "main") -> dict[str, bytes]:
        forge, ref = self._forge, self._ref(repo)
        found = {file.path: forge.read_file(ref, branch, file.path) for file in forge.tree(ref, branch)}
        return {path: read[0] for path, read in found.items() if read}

    def pulls(self, repo: str) -> list[tuple[str, str, str]]:
        return [(pull.head, pull.base, pull.state) for pull in self._forge.list_pulls(self._ref(repo))]

    def hooks(self, repo: str) -> list[str]:
        return list(self._settings(repo, "webhooks"))

    def protected(self, repo: str) -> list[str]:
        return list(self._settings(repo, "protection"))

    def topics(self, repo: str) -> list[str]:
        return sorted(self._settings(repo, "topics"))

    def people(self, repo: str) -> list[str]:
        return list(self._settings(repo, "collaborators"))

    def variables(self, repo: str) -> list[str]:
        return list(self._settings(repo, "variables"))

    def issues(self, repo: str) -> list[tuple[str, list[str]]]:
        files = sorted((self._root / OWNER_NAME / f"{repo}.git" / ISSUES).glob("*.json"))
        found = [json.loads(file.read_text()) for file in files]
        return [(one["title"], sorted(one["labels"])) for one in found]

    def _settings(self, repo: str, kind: str) -> dict[str, Any]:
        folder = self._root / OWNER_NAME / f"{repo}.git"
        return read_json(folder / SETTINGS / f"{kind}.json", kind) or {}

    @property
    def _forge(self) -> Any:
        return open_local(self.opening())

    def _ref(self, repo: str) -> RepoRef:
        return RepoRef(self.name, OWNER_NAME, repo, "main")


class GitHubBench:
    name, is_remote = "github", True

    def __init__(self, folder: Path) -> None:
        self.double = GitHubDouble(folder)
        self.faults, self.log, self.url = self.double.faults, self.double.log, self.double.url
        self.double.primary_limit = 10**9
        self.double.add_user("ada")
        self.double.add_user("grace")
        self.double.add_organization(OWNER_NAME, ada="admin")
        full = self.double.classic_token("ada", "repo", "workflow", "admin:repo_hook", "admin:org")
        reads = {"metadata": "read", "contents": "read", "pull_requests": "read", "issues": "read"}
        weak = self.double.fine_grained_token("ada", OWNER_NAME, reads)
        self._tokens = {"full": full.token, "weak": weak.token, "unknown": "ghp_" + "0" * 36}

    def installation(self, credential: str = "full") -> Installation:
        settings = {"url": self.url, "api_url": self.double.api_url, "token": self._tokens[credential]}
        return Installation("github", "github", settings)

    def open(self, opening: Opening) -> ScmProvider:
        from portal_actions_plugin.scm.github.provider import open_github

        return open_github(opening)

    def add(self, repo: str, files: Files | None) -> None:
        self.double.add_repository(f"{OWNER_NAME}/{repo}", files)

    def push(self, repo: str, branch: str, files: Files) -> None:
        self.double.commit(f"{OWNER_NAME}/{repo}", branch, files)

    def exists(self, repo: str) -> bool:
        return f"{OWNER_NAME}/{repo}" in self.double.repositories()

    def commits(self, repo: str, branch: str = "main") -> int:
        return len(self.double.commits(f"{OWNER_NAME}/{repo}", branch))

    def files(self, repo: str, branch: str = "main") -> dict[str, bytes]:
        return self.double.files(f"{OWNER_NAME}/{repo}", branch)

    def pulls(self, repo: str) -> list[tuple[str, str, str]]:
        found = self.double.pulls(f"{OWNER_NAME}/{repo}")
        return [(one.head, one.base, "merged" if one.merged_at else one.state) for one in found]

    def hooks(self, repo: str) -> list[str]:
        return [hook.config["url"] for hook in self._repository(repo).hooks]

    def protected(self, repo: str) -> list[str]:
        return list(self._repository(repo).protections)

    def topics(self, repo: str) -> list[str]:
        return sorted(self._repository(repo).topics)

    def people(self, repo: str) -> list[str]:
        found = self._repository(repo)
        return [*found.collaborators, *found.invitations]

    def variables(self, repo: str) -> list[str]:
        found = self._repository(repo)
        return [*found.variables, *found.secrets]

    def issues(self, repo: str) -> list[tuple[str, list[str]]]:
        return [(one.title, sorted(one.labels)) for one in self._repository(repo).issues]

    def runs(self, repo: str) -> int:
        return len(self._repository(repo).runs)

    def _repository(self, repo: str) -> Any:
        return self.double.repository(f"{OWNER_NAME}/{repo}")

    def limited(self, retry_after: int) -> Respond:
        answer = too_many(retry_after)
        return Respond(answer.status, answer.body, dict(answer.headers))

    def limited_without_time(self) -> Respond:
        return secondary_limit(retry_after=None)


class GitLabBench:
    name, is_remote = "gitlab", True

    def __init__(self, folder: Path) -> None:
        self.double = GitLabDouble(folder)
        self.faults, self.log, self.url = self.double.faults, self.double.log, self.double.url
        ada = self._ada = self.double.add_user("ada")
        self.double.add_user("grace")
        self.double.add_group(OWNER_NAME, {"ada": OWNER})
        weak = self.double.add_token(ada, "read_api", "read_repository")
        self._tokens = {"full": self.double.add_token(ada, "api"), "weak": weak, "unknown": "glpat-" + "0" * 20}

    def installation(self, credential: str = "full") -> Installation:
        return Installation("gitlab", "gitlab", {"url": self.url, "token": self._tokens[credential]})

    def open(self, opening: Opening) -> ScmProvider:
        from portal_actions_plugin.scm.gitlab.provider import open_gitlab

        return open_gitlab(opening)

    def add(self, repo: str, files: Files | None) -> None:
        self.double.add_project(f"{OWNER_NAME}/{repo}", self._ada, files)

    def push(self, repo: str, branch: str, files: Files) -> None:
        self.double.push(self.double.project(f"{OWNER_NAME}/{repo}"), branch, files)

    def exists(self, repo: str) -> bool:
        return f"{OWNER_NAME}/{repo}" in self.double.repositories()

    def commits(self, repo: str, branch: str = "main") -> int:
        return len(self.double.commits(f"{OWNER_NAME}/{repo}", branch))

    def files(self, repo: str, branch: str = "main") -> dict[str, bytes]:
        return self.double.files(f"{OWNER_NAME}/{repo}", branch)

    def pulls(self, repo: str) -> list[tuple[str, str, str]]:
        states = {"opened": "open"}
        found = self.double.pulls(f"{OWNER_NAME}/{repo}")
        return [(one.source_branch, one.target_branch, states.get(one.state, one.state)) for one in found]

    def hooks(self, repo: str) -> list[str]:
        return [hook.url for hook in self._project(repo).hooks]

    def protected(self, repo: str) -> list[str]:
        return [one.name for one in self._project(repo).protected_branches]

    def topics(self, repo: str) -> list[str]:
        return sorted(self._project(repo).topics)

    def people(self, repo: str) -> list[str]:
        return [self.double.state.users[number].username for number in self._project(repo).members]

    def variables(self, repo: str) -> list[str]:
        return [one.key for one in self._project(repo).variables]

    def issues(self, repo: str) -> list[tuple[str, list[str]]]:
        return [(one.title, sorted(one.labels)) for one in self._project(repo).issues]

    def runs(self, repo: str) -> int:
        return len(self._project(repo).pipelines)

    def _project(self, repo: str) -> Any:
        return self.double.project(f"{OWNER_NAME}/{repo}")

    def limited(self, retry_after: int) -> Respond:
        return Respond(429, "Retry later\n", {"Content-Type": "text/plain", "Retry-After": str(retry_after)})

    def limited_without_time(self) -> Respond:
        return Respond(429, "Retry later\n", {"Content-Type": "text/plain"})


def _changes(files: Files) -> Sequence[FileChange]:
    return [FileChange(path, content) for path, content in files.items()]


def context_on(
    bench: Any,
    recorder: MemoryRecorder,
    *,
    credential: str = "full",
    pauses: KeptPauses | None = None,
    on_redact: Callable[[str], None] = lambda _value: None,
) -> ActionContext:
    """A context for handlers, as the runner makes it, whose forges are this one."""

    def make_scm(_name: str, ctx: ActionContext) -> ScmProvider:
        options: dict[str, Any] = {"local_root": bench._root} if bench.name == "local" else {}
        return bench.open(
            Opening(
                bench.installation(credential),
                ADA,
                guard=ctx.recorder.ensure_ours,
                log=ctx.log,
                warn=ctx.warn,
                redact=ctx.redact,
                notes=KeptNotes(recorder),
                pauses=pauses or KeptPauses(),
                **options,
            )
        )

    info = RunInfo("run-1", "an.action@v1", 1, 3, "user:ada@example.org", "Ada Lovelace")
    return ActionContext(info, recorder, make_scm, on_redact=on_redact)
