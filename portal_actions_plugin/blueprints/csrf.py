"""No write without proof that it is meant: a Bearer token, the host's Flask-WTF token, or else our own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from flask import Blueprint, Flask, current_app, request
from itsdangerous import BadSignature, URLSafeTimedSerializer

from portal_actions_plugin.errors import ConfigurationError, PermissionDeniedError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import Identity
from portal_actions_plugin.runs.guards.identity import current_identity

FIELD = "csrf_token"
HEADERS = ("X-CSRFToken", "X-CSRF-Token")
MAX_AGE_SECONDS = 12 * 3600

_SAFE = ("GET", "HEAD", "OPTIONS")
_HINT = "Reload the page and send the form again."


class StaleFormError(PermissionDeniedError):
    """This page was too old: nothing has happened."""

    hint = _HINT


def protect(app: Flask, blueprints: Sequence[Blueprint]) -> None:
    """Keep a global CSRFProtect, early or late, from checking our blueprints: ``check_request`` does."""

    def take_over_from_the_host() -> None:
        host = app.extensions.get("csrf")
        if host is not None:
            for blueprint in blueprints:
                host.exempt(blueprint)

    # Again at each request, before the host's own check: its CSRFProtect may come after us.
    take_over_from_the_host()
    app.before_request_funcs.setdefault(None, []).insert(0, take_over_from_the_host)
    app.jinja_env.globals["portal_actions_csrf_token"] = token


def token() -> str:
    """The token for a form of ours; empty where there is nobody to give one to."""
    if "csrf" in current_app.extensions:
        from flask_wtf.csrf import generate_csrf

        return str(generate_csrf())
    identity = current_identity()
    return _serializer().dumps(identity.id) if identity and current_app.secret_key else ""


def check_request() -> None:
    """Check a write to one of our blueprints: after the host's own hooks, which may be what says who asks."""
    if request.method not in _SAFE:
        require_token()


def require_token() -> None:
    """Let a write through that carries Bearer credentials or a fitting token; a browser sends neither by itself.

    Raises:
        PermissionDeniedError: the token is missing, old or somebody else's, or a page of another site has sent it.
        ConfigurationError: the host has no SECRET_KEY to sign tokens with.
    """
    if request.headers.get("Authorization", "").lower().startswith("bearer "):
        return
    _require_own_site()
    if current_app.config.get("WTF_CSRF_ENABLED", True) is False:
        return  # The host has switched its own tokens off, as tests do.
    identity = current_identity()
    if identity is None:
        return  # The service says 401.
    if "csrf" in current_app.extensions:
        _require_host_token()
    else:
        _require_own_token(identity)


def _require_own_site() -> None:
    """Refuse what a page of another site sends, as a SameSite cookie would: no token makes that right.

    Raises:
        PermissionDeniedError: names the page's host, and the setting by which the portal says its own.
    """
    fetched_from = request.headers.get("Sec-Fetch-Site")
    if fetched_from == "cross-site":
        raise PermissionDeniedError("A page of another site has sent this.", hint=_HINT)
    if fetched_from is not None:
        return
    # Over plain http, browsers do not say that: then they say at least where the page is from.
    origin = _origin_of_the_page()
    if origin is not None and origin not in set(_own_hosts()):
        raise PermissionDeniedError(
            f"A page of {origin or 'another site'} has sent this, and this portal is {request.host}.",
            hint="If that is this portal's own address, tell your platform team to set PORTAL_ACTIONS_PUBLIC_URL to it.",
        )


def _origin_of_the_page() -> str | None:
    """Host and port of the page that sends this; None where the browser does not tell."""
    said = request.headers.get("Origin")
    if said in (None, "", "null"):  # null is also what a page of ours says that sends no referrer
        said = request.headers.get("Referer")
    return _host(said) if said else None


def _own_hosts() -> Iterator[str]:
    yield _host(f"//{request.host}")
    if public_url := extension().config.public_url:
        yield _host(public_url)
    # No page can make a browser send this one: it is a proxy's.
    if forwarded := request.headers.get("X-Forwarded-Host"):
        yield _host(f"//{forwarded.partition(',')[0].strip()}")


def _host(url: str) -> str:
    """Host and port in small letters, without a port that goes without saying; empty for what is no address."""
    try:
        host = urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""
    return host.removesuffix(":80").removesuffix(":443")


def _require_host_token() -> None:
    from flask_wtf.csrf import validate_csrf
    from wtforms import ValidationError as TokenError

    try:
        validate_csrf(_given())
    except TokenError as error:
        raise StaleFormError(f"The CSRF token does not fit: {error}") from None


def _require_own_token(identity: Identity) -> None:
    if not current_app.secret_key:
        raise ConfigurationError(
            "This portal has no SECRET_KEY, so forms cannot be signed.", hint="Tell your platform team to set one."
        )
    try:
        signed_for = _serializer().loads(_given() or "", max_age=MAX_AGE_SECONDS)
    except BadSignature:
        raise StaleFormError("The CSRF token is missing, or too old.") from None
    if signed_for != identity.id:
        raise StaleFormError("The CSRF token is somebody else's.")


def _given() -> str | None:
    """The token of a header or a form field; the host may have given them names of its own."""
    headers = current_app.config.get("WTF_CSRF_HEADERS", HEADERS)
    field = current_app.config.get("WTF_CSRF_FIELD_NAME", FIELD)
    in_header = next((request.headers[name] for name in headers if name in request.headers), None)
    return in_header or request.form.get(field) or request.form.get(FIELD)


def _serializer() -> URLSafeTimedSerializer:
    # The newest key comes last: it signs, and the others still open what they have signed.
    keys = [*(current_app.config.get("SECRET_KEY_FALLBACKS") or ()), current_app.secret_key or ""]
    return URLSafeTimedSerializer(keys, salt="portal-actions-csrf")
