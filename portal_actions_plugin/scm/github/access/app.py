"""A GitHub App: where it is installed, and the tokens of its installations, which a process keeps until shortly before their end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import quote

from portal_actions_plugin.errors import AuthError
from portal_actions_plugin.scm.base import Operation
from portal_actions_plugin.scm.github.permissions import LEVELS, permissions_for
from portal_actions_plugin.scm.remote.answers import LostAnswerError
from portal_actions_plugin.scm.remote.credentials import Credential
from portal_actions_plugin.scm.remote.fields import at, maybe_text, moment, number, text

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.scm.github.access.app_key import AppKey
    from portal_actions_plugin.scm.opening import Opening
    from portal_actions_plugin.scm.remote.client import ForgeAnswer, ForgeClient
    from portal_actions_plugin.scm.remote.fields import JsonObject

EARLY_SECONDS = 300
"""How long before its end a token is used no more: a step may take as long."""

WIDE_SECONDS = 10
"""How long a token is kept that could not be narrowed to its repository: that may be too new to be known."""

INSTALLATION_SECONDS = 600
SKEW_SECONDS = 30
"""From then on a clock is wrong enough to be told."""


@dataclass(frozen=True, slots=True)
class AppInstallation:
    """Where an App is installed.

    Attributes:
        id: GitHub's own.
        account: the login of the user or organisation.
        is_personal: whether it is a user's account: nobody can create a repository there as an App.
        permissions: levels by permission, as the owner has granted them.
        url: the page where an owner changes all that.
        is_suspended: whether GitHub refuses it for now.
    """

    id: int
    account: str
    is_personal: bool
    permissions: Mapping[str, str]
    url: str
    is_suspended: bool

    @classmethod
    def of(cls, found: JsonObject) -> AppInstallation:
        """Read one as GitHub shows it."""
        permissions = at(found, "permissions")
        return cls(
            id=number(found, "id"),
            account=maybe_text(found, "account", "login") or "",
            is_personal=maybe_text(found, "target_type") == "User",
            permissions=(
                {name: str(level) for name, level in permissions.items()} if isinstance(permissions, Mapping) else {}
            ),
            url=maybe_text(found, "html_url") or "",
            is_suspended=maybe_text(found, "suspended_at") is not None,
        )


@dataclass(slots=True)
class _Kept:
    """What a process knows of Apps, by place and App: until when, on its monotonic clock."""

    installations: dict[tuple[str, ...], tuple[float, AppInstallation]] = field(default_factory=dict)
    tokens: dict[tuple[str, ...], tuple[float, str]] = field(default_factory=dict)
    skews: dict[str, float] = field(default_factory=dict)


_kept = _Kept()


def forget_all() -> None:
    """Let this process know nothing of Apps any more."""
    _kept.installations.clear()
    _kept.tokens.clear()
    _kept.skews.clear()


@dataclass(frozen=True, slots=True)
class GitHubApp:
    """An App at one installation of GitHub, as it is opened for a run.

    Attributes:
        key: the App's.
        client: calls its API.
        opening: of the provider.
    """

    key: AppKey
    client: ForgeClient
    opening: Opening

    def credential(self, owner: str, repository: str | None) -> Credential:
        """A token of the installation on an owner's account, narrowed to a repository and to what the step asks for.

        Args:
            owner: a user or an organisation.
            repository: the only one that it is for; None for all, such as before it is made.

        Raises:
            AuthError: the App is not installed there, is suspended, or its key is not the App's.
            RemoteError: GitHub does not answer.
        """
        place = self._place(owner)
        narrow = "\0".join(sorted(self.opening.operations))
        name = (*place, (repository or "").casefold(), narrow)
        until, token = _kept.tokens.get(name, (0.0, ""))
        if until <= monotonic():
            until, token = self._minted(self.installation(owner), repository)
            _kept.tokens[name] = (until, token)
        self.opening.redact(token)
        return Credential(
            f"app:{self.key.app_id}/{owner.casefold()}", {"Authorization": f"Bearer {token}"}, token, "app"
        )

    def forget(self, owner: str) -> None:
        """Use no token again that was made for an owner so far: it knows no repository that is made now."""
        place = self._place(owner)
        for name in [name for name in _kept.tokens if name[: len(place)] == place]:
            _kept.tokens.pop(name, None)

    def installation(self, owner: str) -> AppInstallation:
        """Where the App is installed for an owner, as it was within the last minutes.

        Raises:
            AuthError: it is not installed there, is suspended, or its key is not the App's.
        """
        name = self._place(owner)
        until, found = _kept.installations.get(name, (0.0, None))
        if found is None or until <= monotonic():
            found = self.look_up(owner)
            _kept.installations[name] = (monotonic() + INSTALLATION_SECONDS, found)
        return found

    def look_up(self, owner: str) -> AppInstallation:
        """Ask GitHub where the App is installed; errors as ``installation`` has them."""
        for kind in ("orgs", "users"):
            answer = self.ask("GET", f"/{kind}/{quote(owner, safe='')}/installation", accept=(404,))
            if answer.status != 404:
                found = AppInstallation.of(answer.object())
                if found.is_suspended:
                    raise self._suspended(owner, found)
                return found
        raise self._not_installed(owner)

    def ask(
        self, method: str, path: str, *, body: JsonObject | None = None, accept: tuple[int, ...] = ()
    ) -> ForgeAnswer:
        """Call as the App itself; once more, when GitHub's clock turns out to be another one than ours.

        Raises:
            AuthError: GitHub does not take the App's key; says whether a clock is wrong.
        """
        api = self.client.place.api_url
        known = _kept.skews.get(api, 0.0)
        answer = self._sent(method, path, body, accept, known)
        if answer.status == 401 and abs(answer.skew - known) > SKEW_SECONDS:
            _kept.skews[api] = answer.skew
            self.opening.log(f"{_clocks(answer.skew)}: the App's key is used by GitHub's time")
            answer = self._sent(method, path, body, accept, answer.skew)
        if answer.status == 401:
            raise self._refused(answer)
        return answer

    def _sent(
        self, method: str, path: str, body: JsonObject | None, accept: tuple[int, ...], skew: float
    ) -> ForgeAnswer:
        # A token changes nothing at GitHub: who may not write may still ask for one to read with.
        client = replace(self.client, opening=self.opening.without_guard())
        return client.send(self.key.credential(self.opening, skew), method, path, body=body, accept=(401, *accept))

    def _place(self, owner: str) -> tuple[str, str, str]:
        return (self.client.place.api_url, self.key.app_id, owner.casefold())

    # -- making a token

    def _minted(self, installation: AppInstallation, repository: str | None) -> tuple[float, str]:
        """A token, and until when it is used."""
        asked: dict[str, JsonValue] = {}
        if self.opening.operations:
            asked["permissions"] = {**_narrowed(installation.permissions, self.opening.operations)}
        if repository is not None:
            answer = self._mint(installation, {**asked, "repositories": [repository]}, accept=(422,))
            if answer.status != 422:
                return self._read(answer)
        until, token = self._read(self._mint(installation, asked))
        # Refused for a repository, which is too new to be known, has another name by now, or is not there: its use tells.
        return until if repository is None else min(until, monotonic() + WIDE_SECONDS), token

    def _mint(self, installation: AppInstallation, asked: JsonObject, *, accept: tuple[int, ...] = ()) -> ForgeAnswer:
        path = f"/app/installations/{installation.id}/access_tokens"
        try:
            try:
                return self.ask("POST", path, body=asked, accept=accept)
            except LostAnswerError:
                # A token too many harms nobody.
                return self.ask("POST", path, body=asked, accept=accept)
        except AuthError as error:
            _kept.installations.clear()
            raise AuthError(
                f"The App's installation on {installation.account} gives no token: {error.message}",
                hint=f"An owner of {installation.account} finds it at {installation.url}.",
            ) from None

    def _read(self, answer: ForgeAnswer) -> tuple[float, str]:
        """A new token, and until when it is used."""
        found = answer.object()
        token = text(found, "token")
        self.opening.redact(token)
        began = answer.at or moment(text(found, "expires_at"))
        seconds = (moment(text(found, "expires_at")) - began).total_seconds()
        return monotonic() + seconds - EARLY_SECONDS, token

    # -- why there is none

    def _refused(self, answer: ForgeAnswer) -> AuthError:
        said = maybe_text(answer.json(), "message") or "it says nothing"
        if abs(answer.skew) > SKEW_SECONDS:
            hint = f"{_clocks(answer.skew)}: set the clock of this machine, such as by NTP."
        else:
            hint = f"Tell your platform team: {self.key.where} is not a key of the App {self.key.app_id}, or was deleted there."
        return AuthError(f"GitHub does not take the key of the App {self.key.app_id}: {said}.", hint=hint)

    def _suspended(self, owner: str, installation: AppInstallation) -> AuthError:
        return AuthError(
            f"The installation of the App {self.key.app_id} on {owner} is suspended.",
            hint=f"An owner of {owner} can let it work again: {installation.url}",
        )

    def _not_installed(self, owner: str) -> AuthError:
        page = maybe_text(self.ask("GET", "/app").object(), "html_url")
        return AuthError(
            f"The App {self.key.app_id} is not installed on {owner}, or there is no such account.",
            hint=f"An owner of {owner} can install it: {page}/installations/new",
        )


def _narrowed(granted: Mapping[str, str], operations: frozenset[Operation]) -> dict[str, str]:
    """What operations need, of what is granted: GitHub refuses a wish for more.

    A commit may be of workflows: what a skeleton holds is known when it is rendered. Every step may read.
    """
    more = {Operation.READ, Operation.COMMIT_WORKFLOWS} if Operation.COMMIT in operations else {Operation.READ}
    wanted = permissions_for(operations | more)
    least = {name: min(level, granted.get(name, "none"), key=_rank) for name, level in wanted.items()}
    return {name: level for name, level in least.items() if _rank(level)} | {"metadata": "read"}


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else 0


def _clocks(skew: float) -> str:
    which = "behind" if skew > 0 else "ahead of"
    return f"this machine's clock is {abs(skew):.0f} s {which} GitHub's"
