"""Variables and secrets of GitHub Actions."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ConfigurationError, RemoteError
from portal_actions_plugin.scm.base import Variable
from portal_actions_plugin.scm.github.client import RepoApi, segment
from portal_actions_plugin.scm.remote.fields import text
from portal_actions_plugin.scm.remote.lost_answers import write_again

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue


def set_variable(repo: RepoApi, variable: Variable) -> None:
    """Set a variable or secret, whatever it was before. Both may be done twice, so a lost answer is asked for again."""
    if variable.is_protected:
        repo.api.opening.warn(
            f"GitHub has no variables for protected branches alone: {variable.name} of {repo.name} is there for all."
        )
    set_it = _set_secret if variable.is_secret else _set_plain
    write_again(lambda: set_it(repo, variable), log=repo.api.opening.log)


def _set_plain(repo: RepoApi, variable: Variable) -> None:
    body: JsonValue = {"name": variable.name, "value": variable.value}
    path = f"/actions/variables/{segment(variable.name)}"
    if repo.send("PATCH", path, body=body, accept=(404,)).status != 404:
        return
    if repo.send("POST", "/actions/variables", body=body, accept=(409,)).status == 409:
        repo.send("PATCH", path, body=body)  # somebody else has made it in between


def _set_secret(repo: RepoApi, variable: Variable) -> None:
    key = repo.send("GET", "/actions/secrets/public-key").object()
    body = {"encrypted_value": sealed(variable.value, text(key, "key")), "key_id": text(key, "key_id")}
    repo.send("PUT", f"/actions/secrets/{segment(variable.name)}", body=body)


def sealed(value: str, public_key: str) -> str:
    """A value that only GitHub can read: "Encrypting secrets for the REST API".

    Args:
        value: of the secret.
        public_key: of the repository, in base64.

    Raises:
        ConfigurationError: PyNaCl is not installed.
    """
    try:
        from nacl.public import PublicKey, SealedBox
    except ImportError:
        raise ConfigurationError(
            "Secrets for GitHub are encrypted with PyNaCl, which is not installed.",
            hint="Tell your platform team: install portal-actions-plugin[github] for the workers.",
        ) from None
    try:
        box = SealedBox(PublicKey(base64.b64decode(public_key, validate=True)))
    except (binascii.Error, ValueError, TypeError):
        raise RemoteError("GitHub gave a key for secrets that is none.") from None
    return base64.b64encode(box.encrypt(value.encode())).decode()
