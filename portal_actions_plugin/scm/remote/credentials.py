"""Which credential a call to a forge carries, and where it comes from. Its value is shown and kept nowhere."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from portal_actions_plugin.errors import ConfigurationError

if TYPE_CHECKING:
    from portal_actions_plugin.scm.opening import Opening

MAX_BYTES = 65_536
"""Of a file that holds a credential: whoever names the wrong file should not read all of it into memory."""

_KEY_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Credential:
    """What a call to a forge carries.

    Attributes:
        key: names it for limits, logs and the doctor, and tells nothing of the secret: ``token:9f3c51…``, ``app:12/acme``.
        headers: what every request has, such as ``{"Authorization": "Bearer …"}``.
        token: the secret itself, for git's protocol.
        kind: ``token``, ``app`` or ``oauth``.
    """

    key: str
    headers: Mapping[str, str] = field(repr=False)
    token: str = field(repr=False)
    kind: str = "token"


class CredentialSource(Protocol):
    """Where a provider gets its credentials from."""

    def credential(self, owner: str | None) -> Credential:
        """The credential for an owner's repositories; None for the installation's own.

        Raises:
            ConfigurationError: there is none; names every way to set one.
        """


@dataclass(frozen=True, slots=True)
class Given:
    """A credential as the portal gave it.

    Attributes:
        where: what gave it, for messages: ``PORTAL_ACTIONS_SCM['ghe']['token']``, the hook, or the environment's variable.
        token: None where it is an App.
        settings: what stands beside it: of the owner, or of the installation.
    """

    where: str
    token: str | None = field(repr=False)
    settings: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class TokenSource:
    """Gives tokens, and nothing else, as credentials.

    Attributes:
        opening: of the provider.
        environment: the variable that a built-in installation's token may be in.
        headers_of: what a request with a token carries.
    """

    opening: Opening
    environment: str
    headers_of: Callable[[str], Mapping[str, str]]

    def credential(self, owner: str | None) -> Credential:
        token = given_token(self.opening, owner, environment=self.environment)
        if token is None:
            raise no_credential(self.opening, owner, environment=self.environment)
        return Credential(token_key(self.opening, token), self.headers_of(token), token)


def given_token(opening: Opening, owner: str | None, *, environment: str) -> str | None:
    """The token for an owner's repositories: of the host's hook, the owner's settings, the installation's, the environment.

    Args:
        opening: of the provider; what is found is given to its ``redact``.
        owner: whose repositories; None for the installation's own, for which the hook is not asked.
        environment: the variable that a built-in installation's token may be in.

    Returns:
        The token; None where there is none, or an App has its place.

    Raises:
        ConfigurationError: a place that is named cannot be read, or holds no token.
    """
    given = find_given(opening, owner, environment=environment)
    return given.token if given else None


def find_given(opening: Opening, owner: str | None, *, environment: str) -> Given | None:
    """Find what the portal gave for an owner's repositories, in the order of ``given_token``; an App counts, too.

    The requester's own token comes before all of it. What forges give to people for other programs is OAuth's: a bearer's.
    """
    name = opening.installation.name
    if opening.own_token:
        return Given(
            "the input token", _usable(opening.own_token, "the input token", opening), {"token_type": "bearer"}
        )
    if owner and (token := opening.host_token(owner)):
        where = f"the hook scm_credentials for {name}/{owner}"
        return Given(where, _usable(token, where, opening))
    for where, settings in _levels(opening, owner):
        if settings.get("token") is not None:
            part = f"{where}['token']"
            return Given(part, _usable(read_secret(settings["token"], part), part, opening), settings)
        if settings.get("app_id") is not None:
            return Given(f"{where}['app_id']", None, settings)
    if is_built_in(opening) and (token := os.environ.get(environment)):
        return Given(environment, _usable(token, environment, opening))
    return None


def _levels(opening: Opening, owner: str | None) -> Iterator[tuple[str, Mapping[str, object]]]:
    """The settings that may hold a credential, the nearest first; a group's count for the groups in it."""
    settings = opening.installation.settings
    where = f"PORTAL_ACTIONS_SCM[{opening.installation.name!r}]"
    owners = settings.get("owners")
    if owner and isinstance(owners, Mapping):
        by_name = {str(name).casefold(): (name, given) for name, given in owners.items()}
        parts = owner.casefold().split("/")
        for length in range(len(parts), 0, -1):
            name, given = by_name.get("/".join(parts[:length]), ("", None))
            if isinstance(given, Mapping):
                yield f"{where}['owners'][{name!r}]", given
    yield where, settings


def is_built_in(opening: Opening) -> bool:
    """Whether it is the installation that a kind has without any setting, whose token may be in the environment."""
    return opening.installation.name == opening.installation.kind


def read_secret(value: object, where: str) -> str:
    """Read a secret of a setting: anew each time, so that a file which was changed counts.

    Args:
        value: the text itself, ``{"env": NAME}``, or ``{"file": PATH}``.
        where: the setting that holds it, for messages.

    Raises:
        ConfigurationError: it cannot be read; the value is not shown.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and len(value) == 1:
        ((source, name),) = value.items()
        if source == "env" and isinstance(name, str):
            return _of_environment(name, where)
        if source == "file" and isinstance(name, str | Path):
            return _of_file(Path(name), where)
    raise ConfigurationError(
        f"{where} takes a text, {{'env': NAME}} or {{'file': PATH}}.", hint=f"Tell your platform team: correct {where}."
    )


def _of_environment(name: str, where: str) -> str:
    if (value := os.environ.get(name, "")).strip():
        return value
    raise ConfigurationError(
        f"{where} names the environment variable {name}, which is not set in this process.",
        hint=f"Tell your platform team: set {name} for web and workers alike.",
    )


def _of_file(path: Path, where: str) -> str:
    hint = "Tell your platform team: the file has to be there and readable for web and workers alike."
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{where} names {path}, which cannot be read: {error.strerror}.", hint=hint) from None
    if len(content) > MAX_BYTES or not content.strip():
        what = "is empty" if not content.strip() else f"is larger than {MAX_BYTES} bytes"
        raise ConfigurationError(f"{where} names {path}, which {what}.", hint=hint)
    return content.decode(errors="replace")


def _usable(token: str, where: str, opening: Opening) -> str:
    """A token without the space around it, known to the redactor; raises ConfigurationError for what no header takes."""
    stripped = token.strip()
    opening.redact(stripped)
    if not stripped or not all("!" <= character <= "~" for character in stripped):
        what = "is empty" if not stripped else "has a space, a line break or a letter that no token has"
        raise ConfigurationError(f"The token of {where} {what}.", hint="Tell your platform team: paste it again.")
    return stripped


def token_key(opening: Opening, token: str) -> str:
    """A token's name for limits, logs and the doctor: the same in every process, and nobody gets the token from it."""
    digest = hashlib.sha256(f"portal-actions\0{opening.installation.name}\0{token}".encode())
    return f"token:{digest.hexdigest()[:_KEY_DIGITS]}"


def no_credential(opening: Opening, owner: str | None, *, environment: str) -> ConfigurationError:
    """The error for an owner without a credential: names every way to set one."""
    name = opening.installation.name
    where = f"PORTAL_ACTIONS_SCM[{name!r}]"
    ways = [f"{where}['token']", f"{where}['app_id'] with ['private_key']"]
    if opening.installation.kind != "github":
        ways.pop()
    if owner:
        ways.insert(0, f"{where}['owners'][{owner!r}]")
    if is_built_in(opening):
        ways.append(f"the environment variable {environment}")
    ways.append("the hook @plugin.scm_credentials")
    return ConfigurationError(
        f"This portal has no credential for {f'{owner} on {name}' if owner else name}.",
        hint=f"Tell your platform team to give one by {', '.join(ways[:-1])}, or {ways[-1]}.",
    )
