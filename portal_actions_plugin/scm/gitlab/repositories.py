"""Creating and finding projects: once, whatever becomes of the answer, and never somebody else's.

docs.gitlab.com/api/projects/#create-a-project
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ActionError, ConflictError, NotFoundError, RemoteError, ValidationError
from portal_actions_plugin.scm.gitlab.client import Api, GitLab, ProjectApi, Query
from portal_actions_plugin.scm.gitlab.errors import HIDDEN_HINT
from portal_actions_plugin.scm.gitlab.projects import Project, project_path, segment
from portal_actions_plugin.scm.names import check_owner_path, check_repo, check_visibility
from portal_actions_plugin.scm.remote.answers import LostAnswerError
from portal_actions_plugin.scm.remote.fields import at, maybe_text, number, text, texts
from portal_actions_plugin.scm.remote.intents import Intents, fingerprint
from portal_actions_plugin.scm.remote.lost_answers import look_for, write_again, write_once

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.base import Repository

_HIDDEN_NAME_HINT = (
    "Choose another name. The portal's account does not see what has this one: a project that only its members see, a group, "
    "or a project that was deleted and is kept for some days. An Owner of the group sees them."
)


@dataclass(frozen=True, slots=True)
class NewProject:
    """What is to be created.

    Attributes:
        owner: the full path of a group, or a user's name.
        repo: the project's path and name.
        visibility: as GitLab calls it, which is as we do.
        description: one line, perhaps empty.
        init_with_readme: whether GitLab makes a first commit.
        claim: a text that only this run and those that retry it know.
    """

    owner: str
    repo: str
    visibility: str
    description: str
    init_with_readme: bool
    claim: str

    @property
    def name(self) -> str:
        """``group/sub/project``."""
        return f"{self.owner}/{self.repo}"


def get_repo(gitlab: GitLab, owner: str, repo: str) -> Repository:
    """Find a project; raises NotFoundError."""
    check_owner_path(owner)
    check_repo(repo)
    project = gitlab.find_project(owner, repo)
    if project is None:
        raise NotFoundError(f"GitLab ({gitlab.name}) has no project {owner}/{repo}.", hint=HIDDEN_HINT)
    return project.as_repository(gitlab.name)


def find_repo(gitlab: GitLab, project: int) -> Repository:
    """Find a project by GitLab's number of it; raises NotFoundError."""
    answer = gitlab.api(None).find(f"/projects/{project}")
    if answer is None:
        raise NotFoundError(f"GitLab ({gitlab.name}) has no project {project}.", hint=HIDDEN_HINT)
    return Project.of(answer.object()).as_repository(gitlab.name)


def configure_repo(repo: ProjectApi, settings: Mapping[str, JsonValue]) -> None:
    """Change settings of a project: docs.gitlab.com/api/projects/#update-a-project"""
    write_again(lambda: repo.write("PUT", "", body=dict(settings)), log=repo.opening.log)


def create_repo(gitlab: GitLab, new: NewProject) -> Repository:
    """Create a project, or return the one that the same claim has created before.

    Raises:
        NotFoundError: there is no such group or user.
        ConflictError: it exists, and nothing says that this run has made it.
    """
    check_owner_path(new.owner)
    check_repo(new.repo)
    check_visibility(new.visibility)
    return _Creation(gitlab, gitlab.api(new.owner), new).run()


@dataclass(frozen=True, slots=True)
class _Creation:
    gitlab: GitLab
    api: Api
    new: NewProject

    @property
    def intents(self) -> Intents:
        """The requests for this very input: another one, or another claim, inherits none of them."""
        new = self.new
        asked = (new.name.lower(), new.visibility, new.description, new.init_with_readme, new.claim)
        return Intents(self.api.opening.notes, f"gitlab.createRepo.{fingerprint(self.gitlab.name, *asked)}")

    def run(self) -> Repository:
        asked = self.api.send("GET", project_path(self.new.owner, self.new.repo), accept=(404,))
        if asked.status != 404:
            return self._ours(Project.of(asked.object())).as_repository(self.gitlab.name)
        if self.intents.made is not None:
            raise ConflictError(
                f"{self.new.name} was made by this run before, and is there no more.",
                hint="Start a new run, if it was deleted on purpose.",
            )
        body = self._body(self._namespace())
        self.intents.add_at(asked.at or datetime.now(UTC))
        made = self._ours(write_once(lambda: self._post(body), self._look_up, log=self.api.opening.log))
        self._await()
        return made.as_repository(self.gitlab.name, fresh=True)

    def _await(self) -> None:
        """Wait until GitLab shows what it has just made, so that whatever comes next finds it."""
        try:
            is_shown = look_for(self._look_up) is not None
        except RemoteError:
            is_shown = False
        if not is_shown:
            self.api.opening.warn(f"GitLab has made {self.new.name}, and does not show it yet.")

    def _post(self, body: JsonValue) -> Project:
        try:
            made = Project.of(self.api.send("POST", "/projects", body=body, name=self.new.name).object())
        except LostAnswerError:
            raise
        except ActionError as error:
            self.intents.refused()  # nothing came of it: no claim to what others make
            if not isinstance(error, ConflictError):
                raise
            if (found := self._look_up()) is not None:
                return found  # an earlier request of ours, or somebody else's: its owner is looked at
            raise ConflictError(error.message, hint=_HIDDEN_NAME_HINT) from None
        self.intents.keep_made({"id": made.id})
        return made

    def _look_up(self) -> Project | None:
        return self.gitlab.find_project(self.new.owner, self.new.repo)

    def _ours(self, found: Project) -> Project:
        """The project, if it is known that this claim has made it; raises ConflictError otherwise."""
        made = self.intents.made
        if made is not None and at(made, "id") == found.id:
            return found
        if made is None and self._is_new(found):
            self.intents.keep_made({"id": found.id})
            return found
        raise ConflictError(
            f"The project {self.new.name} exists already, and nothing says that this run has made it. Nothing was written "
            "to it.",
            hint=f"Look at {found.web_url}. Choose another name, or remove the project if nobody needs it.",
        )

    def _is_new(self, found: Project) -> bool:
        """Whether it was made while requests of ours were on their way, by our account, and nobody has worked in it."""
        in_time = self.intents.were_on_their_way(found.created_at)
        is_mine = in_time and at(found.about, "creator_id") == self.api.my_id
        return is_mine and (found.is_empty or self._has_only_the_first_commit(found))

    def _has_only_the_first_commit(self, found: Project) -> bool:
        query: Query = {"ref_name": found.default_branch, "per_page": 2}
        commits = self.api.send("GET", f"/projects/{found.id}/repository/commits", query=query).list()
        is_first = len(commits) == 1 and not texts(commits[0], "parent_ids")
        return self.new.init_with_readme and is_first and maybe_text(commits[0], "title") == "Initial commit"

    def _body(self, namespace_id: int) -> JsonValue:
        return {
            "name": self.new.repo,
            "path": self.new.repo,
            "namespace_id": namespace_id,
            "visibility": self.new.visibility,
            "description": self.new.description,
            "initialize_with_readme": self.new.init_with_readme,
        }

    def _namespace(self) -> int:
        answer = self.api.find(f"/namespaces/{segment(self.new.owner)}")
        if answer is None:
            message = f"GitLab ({self.gitlab.name}) has no group or user {self.new.owner}."
            raise NotFoundError(message, hint=HIDDEN_HINT, fields={"owner": [message]})
        found = answer.object()
        if maybe_text(found, "kind") == "user" and text(found, "full_path").lower() != self.api.my_name.lower():
            message = f"{self.new.owner} is a person: only that person's own token creates projects there."
            raise ValidationError(message, hint="Name a group.", fields={"owner": [message]})
        return number(found, "id")
