"""The three people of the demo, and who of them asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

from flask import current_app, request
from flask_login import current_user

from portal_actions_plugin import Identity


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in; what Flask-Login calls a user."""

    key: str
    name: str
    email: str
    role: str
    token: str
    about: str

    is_authenticated: ClassVar[bool] = True
    is_active: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False

    def get_id(self) -> str:
        return self.key

    @property
    def initials(self) -> str:
        return "".join(word[0] for word in self.name.split()[:2])

    @property
    def identity(self) -> Identity:
        return Identity(f"user:{self.email}", self.name, frozenset({self.role}))


PEOPLE = {
    person.key: person
    for person in (
        Person("ada", "Ada Lovelace", "ada@acme.example", "developer", "demo-developer",
               "Starts templates and actions, fixes scorecards, merges pull requests."),
        Person("grace", "Grace Hopper", "grace@acme.example", "viewer", "demo-viewer",
               "Sees everything, changes nothing."),
        Person("margaret", "Margaret Hamilton", "margaret@acme.example", "platform-admin", "demo-admin",
               "Also cancels other people's runs, and reads the audit log."),
    )
}  # fmt: skip
_BY_TOKEN = {person.token: person for person in PEOPLE.values()}


def has_credentials() -> bool:
    """Whether the request says itself who asks. Then a cookie counts for nothing."""
    return "Authorization" in request.headers


def from_session(key: str) -> Person | None:
    """Flask-Login's user loader."""
    return None if has_credentials() else PEOPLE.get(key)


def from_request() -> Person | None:
    """Whose Bearer token the request carries."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return _BY_TOKEN.get(token.strip()) if scheme.lower() == "bearer" else None


def signed_in() -> Person | None:
    """Who asks."""
    return cast("Person", current_user._get_current_object()) if current_user.is_authenticated else None  # noqa: SLF001 Flask-Login's documented way


def current_identity() -> Identity | None:
    """Who asks, as plugins know it."""
    person = signed_in()
    return person.identity if person else None


def may(permission: str) -> bool:
    """Whether who asks has a permission, by the same table that the plugin decides with."""
    person = signed_in()
    table = current_app.config.get("PORTAL_ACTIONS_ROLE_PERMISSIONS", {})
    return person is not None and permission in table.get(person.role, ())


def may_merge() -> bool:
    """Whether who asks may merge pull requests: whoever may run actions writes to repositories anyway."""
    return may("action:run")
