"""docs.github.com/en/rest/apps/apps and …/installations"""

from __future__ import annotations

import base64
import json
import secrets
from datetime import timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.support.forges.clock import ForgeClock
from tests.support.forges.github import shapes
from tests.support.forges.github.access import Needs, reaches, token_of
from tests.support.forges.github.answers import refusal
from tests.support.forges.github.calls import Call, created, ok
from tests.support.forges.github.state import App, Credential, Installation, State, node_id
from tests.support.forges.messages import Answer
from tests.support.forges.routing import Routes

routes = Routes()
_LEVELS = ("none", "read", "write", "admin")


def _jwt(page: str) -> Needs:
    return Needs(f"apps/apps#{page}", scopes=(), app="jwt")


def app_of(state: State, clock: ForgeClock, token: str | None, page: str) -> App:
    """The app that has signed a JSON web token:
    docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app

    RS256; ``iat`` is not in the future ("we recommend that you set this 60 seconds in the past"), ``exp`` "no more than
    10 minutes into the future", and ``iss`` is the app's id or its client id.
    """
    undecodable = refusal(401, "A JSON web token could not be decoded", page)
    try:
        head, payload, signature = (token or "").split(".")
        header, claims = json.loads(_decoded(head)), json.loads(_decoded(payload))
        app = next(one for one in state.apps if str(claims["iss"]) in (str(one.id), one.client_id))
        key = load_pem_public_key(app.public_key)
        if header["alg"] != "RS256" or not isinstance(key, rsa.RSAPublicKey):
            raise undecodable
        key.verify(_decoded(signature), f"{head}.{payload}".encode(), padding.PKCS1v15(), hashes.SHA256())
    except StopIteration:
        raise refusal(401, "Integration not found", page) from None
    except (ValueError, KeyError, TypeError, InvalidSignature):
        raise undecodable from None
    now = clock.now().timestamp()
    if not isinstance(claims.get("exp"), int):
        raise refusal(
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
            page,
        )
    if not isinstance(claims.get("iat"), int):
        raise refusal(
            401,
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
            page,
        )
    if claims["iat"] > now:
        raise refusal(
            401,
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
            page,
        )
    if claims["exp"] <= now:
        raise refusal(
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
            page,
        )
    if claims["exp"] > now + 600:
        raise refusal(401, "'Expiration time' claim ('exp') is too far in the future", page)
    return app


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _app(call: Call) -> App:
    return app_of(call.state, call.state.clock, token_of(call.request), call.page)


@routes.on("GET", "/app", _jwt("get-the-authenticated-app"))
def get_app(call: Call) -> Answer:
    app = _app(call)
    at = "2024-01-01T00:00:00Z"
    return ok(
        {
            "id": app.id,
            "client_id": app.client_id,
            "slug": app.slug,
            "node_id": node_id("App", app.id),
            "owner": call.user(app.owner),
            "name": app.slug,
            "description": "",
            "external_url": "https://portal.example.org",
            "html_url": f"{call.sites.html}/apps/{app.slug}",
            "created_at": at,
            "updated_at": at,
            "permissions": app.permissions,
            "events": [],
            "installations_count": len(_installations(call, app)),
        }
    )


def _installations(call: Call, app: App) -> list[Installation]:
    return [one for one in call.state.installations if one.app is app]


@routes.on("GET", "/app/installations", _jwt("list-installations-for-the-authenticated-app"))
def list_installations(call: Call) -> Answer:
    return call.paged(_installations(call, _app(call)), lambda one: _shape(call, one))


@routes.on("GET", "/app/installations/{installation_id}", _jwt("get-an-installation-for-the-authenticated-app"))
def get_installation(call: Call) -> Answer:
    return ok(_shape(call, _found(call)))


def _found(call: Call) -> Installation:
    for one in _installations(call, _app(call)):
        if str(one.id) == call.values["installation_id"]:
            return one
    raise call.not_found()


@routes.on("GET", "/orgs/{account}/installation", _jwt("get-an-organization-installation-for-the-authenticated-app"))
@routes.on("GET", "/users/{account}/installation", _jwt("get-a-user-installation-for-the-authenticated-app"))
@routes.on(
    "GET", "/repos/{account}/{name}/installation", _jwt("get-a-repository-installation-for-the-authenticated-app")
)
def installation_of(call: Call) -> Answer:
    for one in _installations(call, _app(call)):
        if one.account.lower() != call.values["account"].lower():
            continue
        if "name" in call.values:
            repository = call.state.repository(one.account, call.values["name"])
            if repository is None or (one.repositories is not None and repository.id not in one.repositories):
                continue
        return ok(_shape(call, one))
    raise call.not_found()


@routes.on(
    "POST", "/app/installations/{installation_id}/access_tokens", _jwt("create-an-installation-access-token-for-an-app")
)
def create_token(call: Call) -> Answer:
    """ "Installation tokens expire one hour from the time you create them", and reach what was there at that time."""
    installation = _found(call)
    if installation.suspended:
        raise refusal(403, "This installation has been suspended", call.page)
    permissions = _narrowed_permissions(call, installation)
    repositories = _narrowed_repositories(call, installation)
    is_narrowed = any(call.body().get(name) for name in ("repositories", "repository_ids"))
    app = installation.app
    credential = Credential(
        f"{app.slug} in {installation.account}",
        f"ghs_{secrets.token_hex(18)}",
        "installation",
        f"{app.slug}[bot]",
        permissions=permissions,
        owner=installation.account,
        repositories=repositories,
        expires=call.state.clock.now() + timedelta(hours=1),
    )
    call.state.credentials.append(credential)
    selected = is_narrowed or installation.repositories is not None
    body: dict[str, Any] = {
        "token": credential.token,
        "expires_at": credential.expires and credential.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "permissions": permissions,
        "repository_selection": "selected" if selected else "all",
    }
    if selected:
        listed = [one for one in call.state.repositories.values() if reaches(credential, one)]
        body["repositories"] = [shapes.repository(call.sites, call.state, one, "read") for one in listed]
    return created(body)


def _narrowed_permissions(call: Call, installation: Installation) -> dict[str, str]:
    wanted = call.field("permissions", dict, default={})
    if not wanted:
        return {"metadata": "read", **installation.permissions}
    for name, level in wanted.items():
        have = "read" if name == "metadata" else installation.permissions.get(name, "none")
        if level not in _LEVELS or _LEVELS.index(level) > _LEVELS.index(have):
            raise refusal(422, "The permissions requested are not granted to this installation.", call.page)
    return {"metadata": "read", **wanted}


def _narrowed_repositories(call: Call, installation: Installation) -> frozenset[int]:
    """The ids that the token reaches: of those that exist now."""
    reached = {
        one.id: one
        for one in call.state.repositories.values()
        if one.owner.lower() == installation.account.lower()
        and (installation.repositories is None or one.id in installation.repositories)
    }
    names = call.field("repositories", list, default=[])
    ids = call.field("repository_ids", list, default=[])
    by_name = {one.name.lower(): one.id for one in reached.values()}
    wanted = [by_name.get(str(name).lower()) for name in names] + [
        number if number in reached else None for number in ids
    ]
    if None in wanted:
        message = (
            "There is at least one repository that does not exist or is not accessible to the parent installation."
        )
        raise refusal(422, message, call.page)
    return frozenset(one for one in wanted if one) if wanted else frozenset(reached)


@routes.on(
    "GET",
    "/installation/repositories",
    Needs("apps/installations#list-repositories-accessible-to-the-app-installation", scopes=()),
)
def accessible(call: Call) -> Answer:
    """Of an installation's token only."""
    if call.anonymous or call.credential.kind != "installation":
        raise refusal(
            403,
            "You must authenticate with an installation access token in order to list repositories for an installation.",
            call.page,
        )
    found = [one for one in call.state.repositories.values() if reaches(call.credential, one)]
    return call.paged(found, lambda one: shapes.repository(call.sites, call.state, one, "read"), "repositories")


def _shape(call: Call, installation: Installation) -> dict[str, Any]:
    account = call.user(installation.account)
    url = f"{call.sites.api}/app/installations/{installation.id}"
    at = "2024-01-01T00:00:00Z"
    return {
        "id": installation.id,
        "account": account,
        "app_id": installation.app.id,
        "client_id": installation.app.client_id,
        "app_slug": installation.app.slug,
        "target_id": account["id"],
        "target_type": account["type"],
        "repository_selection": "all" if installation.repositories is None else "selected",
        "permissions": {"metadata": "read", **installation.permissions},
        "access_tokens_url": f"{url}/access_tokens",
        "repositories_url": f"{call.sites.api}/installation/repositories",
        "html_url": f"{call.sites.html}/settings/installations/{installation.id}",
        "events": [],
        "created_at": at,
        "updated_at": at,
        "single_file_name": None,
        "suspended_at": at if installation.suspended else None,
        "suspended_by": account if installation.suspended else None,
    }
