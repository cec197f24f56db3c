"""Finding and making repositories. GitHub does not say who has made one: notes of ours do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import (
    ActionError,
    AuthError,
    ConflictError,
    NotFoundError,
    RemoteError,
    ValidationError,
)
from portal_actions_plugin.scm.base import RepoRef, Repository
from portal_actions_plugin.scm.github.client import Api, GitHub, RepoApi, segment
from portal_actions_plugin.scm.github.errors import ExistsError
from portal_actions_plugin.scm.names import check_visibility
from portal_actions_plugin.scm.remote.answers import LostAnswerError
from portal_actions_plugin.scm.remote.fields import at, maybe_text, moment, number, objects, text
from portal_actions_plugin.scm.remote.intents import Intents, fingerprint
from portal_actions_plugin.scm.remote.lost_answers import look_for, write_once

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.opening import Notes
    from portal_actions_plugin.scm.remote.answers import ForgeAnswer
    from portal_actions_plugin.scm.remote.fields import JsonObject

_FIRST_MESSAGE = "Initial commit"


@dataclass(frozen=True, slots=True)
class NewRepository:
    """A repository to make; the fields are those of ``ScmProvider.create_repo``."""

    owner: str
    repo: str
    visibility: str
    description: str
    init_with_readme: bool
    claim: str

    @property
    def fingerprint(self) -> str:
        """Tells this input from any other, so that none inherits another one's claim."""
        return fingerprint(asdict(self))


def get_repo(github: GitHub, owner: str, repo: str) -> Repository:
    """Find a repository, by the name that it has now; raises NotFoundError."""
    asked = github.repo(RepoRef(github.opening.installation.name, owner, repo, ""))
    return repository_of(asked, asked.send("GET", "").object())


def repository_of(asked: RepoApi, found: JsonObject) -> Repository:
    """What an answer of GitHub says of a repository; names come from there."""
    ref = RepoRef(
        asked.ref.provider,
        text(found, "owner", "login"),
        text(found, "name"),
        maybe_text(found, "default_branch") or "",
    )
    return Repository(
        ref,
        web_url=text(found, "html_url"),
        clone_url=text(found, "clone_url"),
        description=maybe_text(found, "description") or "",
        visibility=_visibility(found),
        number=number(found, "id"),
    )


def find_repo(github: GitHub, repository: int) -> Repository:
    """Find a repository by GitHub's number of it; raises NotFoundError."""
    found = github.api(None).send("GET", f"/repositories/{repository}").object()
    ref = RepoRef(github.opening.installation.name, text(found, "owner", "login"), text(found, "name"), "")
    return repository_of(github.repo(ref), found)


def _visibility(found: JsonObject) -> str:
    return maybe_text(found, "visibility") or ("private" if at(found, "private") is not False else "public")


def create_repo(github: GitHub, new: NewRepository) -> Repository:
    """Create a repository as ``ScmProvider.create_repo`` says; one that is there has to be ours by our notes."""
    check_visibility(new.visibility)
    api = github.api(new.owner)
    owner, path = _owner(api, new)
    asked = RepoApi(api, RepoRef(github.opening.installation.name, owner, new.repo, ""))
    claim = _Claim(asked, new, github.opening.notes)
    there = asked.send("GET", "", accept=(404,))
    if there.status != 404:
        return claim.require(there.object())
    claim.lay(there)
    body: dict[str, JsonValue] = {
        "name": new.repo,
        "description": new.description,
        "private": new.visibility != "public",
        "auto_init": new.init_with_readme,
    }
    if new.visibility == "internal":
        body["visibility"] = "internal"

    def write() -> _Seen:
        try:
            return _Seen(api.send("POST", path, body=body).object(), by_answer=True)
        except LostAnswerError:
            raise
        except ActionError as error:
            claim.intents.refused()  # nothing came of it: no claim to what others make
            # An earlier POST of ours may have come through only now, and what is young may not be shown yet.
            found = look_for(look_up) if isinstance(error, ExistsError) else None
            if found is None:
                raise
            return found

    def look_up() -> _Seen | None:
        answer = asked.find("")
        return _Seen(answer.object(), by_answer=False) if answer else None

    seen = write_once(write, look_up, log=github.opening.log)
    made = claim.keep(seen.found) if seen.by_answer else claim.require(seen.found)
    github.credentials.forget(owner)
    _say_name(github, new, made)
    _await(github, made)
    return replace(made, fresh=True)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A repository that is there after it was asked for; ``by_answer`` when GitHub said that this request has made it."""

    found: JsonObject
    by_answer: bool


def _owner(api: Api, new: NewRepository) -> tuple[str, str]:
    """The owner's name as GitHub writes it, and where its repositories are made."""
    if (organisation := api.find(f"/orgs/{segment(new.owner)}")) is not None:
        login = text(organisation.object(), "login")
        return login, f"/orgs/{segment(login)}/repos"
    if (person := api.find(f"/users/{segment(new.owner)}")) is None:
        message = f"GitHub has no user or organisation {new.owner}."
        raise NotFoundError(message, hint="Check the owner's name.", fields={"owner": [message]})
    login = text(person.object(), "login")
    if new.visibility == "internal":
        message = f"{login} is a person: only an organisation of an enterprise has internal repositories."
        raise ValidationError(message, fields={"visibility": [message]})
    me = None if api.credential.kind == "app" else api.send("GET", "/user", accept=(403,))
    if me is None or me.status == 403:
        raise AuthError(
            f"{login} is a person, and a GitHub App's installation cannot create a repository in a personal account.",
            hint="Create it in an organisation that the App is installed in, or ask your platform team for a token of "
            f"{login} in the settings of this owner.",
        )
    if text(me.object(), "login").lower() != login.lower():
        raise AuthError(
            f"The portal's token is {text(me.object(), 'login')}'s: it cannot create a repository in {login}'s personal "
            "account.",
            hint="Create it in an organisation, or ask your platform team for a token of that person.",
        )
    return login, "/user/repos"


@dataclass(frozen=True, slots=True)
class _Claim:
    """Whether a repository is ours: what was noted before it was asked for, and its number once it is known.

    A note is kept under the input's fingerprint, so it is inherited by nobody who asks for anything else.
    """

    asked: RepoApi
    new: NewRepository
    notes: Notes

    @property
    def intents(self) -> Intents:
        """The requests for this very input."""
        return Intents(self.notes, f"github.createRepo.{self.new.fingerprint}")

    def lay(self, missing: ForgeAnswer) -> None:
        """Note, before the repository is asked for, that it was not there at this moment of the forge's clock."""
        if missing.at is None:
            raise RemoteError(
                f"{missing.api} does not say what time it is, which is needed to know a repository again."
            )
        self.intents.add_at(missing.at)

    def keep(self, found: JsonObject) -> Repository:
        """Note the number of a repository that is ours: from then on it is, whatever is in it."""
        self.intents.keep_made({"id": number(found, "id")})
        return repository_of(self.asked, found)

    def require(self, found: JsonObject) -> Repository:
        """Return a repository that is ours; raises ConflictError for any other."""
        name = text(found, "full_name")
        if name.lower() != self.asked.name.lower():
            raise ConflictError(
                f"{self.asked.name} was a name of {name}, and GitHub leads from it there. Nothing was written.",
                hint=f"Choose another name: making a repository of this one would break the links to {name}. Look at "
                f"{text(found, 'html_url')}.",
            )
        if self._is_ours(found):
            return self.keep(found)
        raise ConflictError(
            f"The repository {name} exists already, and this run has not made it. Nothing was written to it.",
            hint=f"Look at {text(found, 'html_url')}. Choose another name, or remove the repository if nobody needs it.",
        )

    def _is_ours(self, found: JsonObject) -> bool:
        if at(self.intents.made, "id") == number(found, "id"):
            return True
        return self.intents.were_on_their_way(moment(text(found, "created_at"))) and self._is_untouched()

    def _is_untouched(self) -> bool:
        """Whether it is empty, or holds nothing but the commit that GitHub itself begins with."""
        answer = self.asked.send("GET", "/commits", query={"per_page": 2}, accept=(409,))
        if answer.status == 409:
            return True
        commits = answer.list()
        return not commits or (
            self.new.init_with_readme
            and len(commits) == 1
            and not objects(commits[0], "parents")
            and text(commits[0], "commit", "message") == _FIRST_MESSAGE
        )


def _say_name(github: GitHub, new: NewRepository, made: Repository) -> None:
    if made.ref.repo != new.repo:
        github.opening.warn(f"GitHub has made {new.repo!r} into {made.ref.repo}: that is the repository's name.")


def _await(github: GitHub, made: Repository) -> None:
    """Wait until GitHub shows what it has just made, so that the next step finds it."""
    shown = github.repo(made.ref)
    try:
        is_shown = look_for(lambda: shown.find("")) is not None
    except RemoteError:
        is_shown = False
    if not is_shown:
        github.opening.warn(f"GitHub has made {made.ref.full_name}, and does not show it yet.")
