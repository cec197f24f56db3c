"""The key of a GitHub App: read, and the tokens that it signs to ask for an installation's."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING

from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.scm.remote.credentials import Credential, Given, read_secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from portal_actions_plugin.scm.opening import Opening

INSTALL = 'Install it, for web and workers alike: pip install "portal-actions-plugin[github]".'

BACK_SECONDS = 60
"""How far back a token is dated, and how far from GitHub's limit of 10 minutes it ends: a clock may be fast or slow.

"Generating a JSON Web Token (JWT) for a GitHub App".
"""
_SECONDS = 600 - BACK_SECONDS


@dataclass(frozen=True, slots=True)
class AppKey:
    """An App as the portal has set it.

    Attributes:
        app_id: its id or its client id.
        where: the setting that holds it, for messages.
        key: what it signs with.
    """

    app_id: str
    where: str
    key: RSAPrivateKey = field(repr=False)

    @classmethod
    def of(cls, given: Given, opening: Opening) -> AppKey:
        """Read the App of some settings; what its key is made of is masked from then on.

        Raises:
            ConfigurationError: the key cannot be read, or is no RSA key in PEM; it is not shown.
        """
        where = given.where.replace("['app_id']", "['private_key']")
        text = read_secret(given.settings.get("private_key"), where).replace("\\n", "\n").strip()
        opening.redact(text)
        return cls(str(given.settings["app_id"]), where, _private_key(text, where))

    def credential(self, opening: Opening, skew: float) -> Credential:
        """What the App itself calls with, and nothing but to ask about its installations.

        Args:
            opening: masks it.
            skew: seconds that GitHub's clock is ahead of this machine's, as far as is known.

        Raises:
            ConfigurationError: the package that signs is not installed.
        """
        try:
            import jwt
        except ImportError:
            raise ConfigurationError("A GitHub App needs PyJWT, which is not installed.", hint=INSTALL) from None
        now = int(time() + skew)
        claims = {"iat": now - BACK_SECONDS, "exp": now + _SECONDS, "iss": self.app_id}
        token = jwt.encode(claims, self.key, algorithm="RS256")
        opening.redact(token)
        return Credential(f"app:{self.app_id}", {"Authorization": f"Bearer {token}"}, token, "app")


def _private_key(text: str, where: str) -> RSAPrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ConfigurationError(
            f"{where} is no RSA key without a password in PEM, as GitHub gives it to download.",
            hint="Tell your platform team: it begins with -----BEGIN RSA PRIVATE KEY----- and has its line breaks.",
        )
    return key
