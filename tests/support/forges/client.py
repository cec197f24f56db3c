"""A client that sends exactly what a test says, for tests of the doubles themselves.

It and its JSON web tokens are made by hand, so that no library of ours is proved by itself.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key


@dataclass
class Client:
    """Sends what a test says, and follows nothing."""

    http: urllib3.PoolManager
    url: str
    token: str | None = None

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> urllib3.BaseHTTPResponse:
        sent = {"User-Agent": "tests"} | {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        url = path if path.startswith("http") else self.url + path
        return self.http.request(method, url, json=body, headers=sent, redirect=False, retries=False)

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer that must be a good one."""
        answer = self(method, path, body)
        assert answer.status < 300, answer.data
        return answer.json() if answer.data else None

    def by(self, token: str | None) -> Client:
        """Somebody else."""
        return Client(self.http, self.url, token)


def signed(private_key: str, claims: Mapping[str, object], *, algorithm: str = "RS256") -> str:
    """A JSON web token of claims, signed with a key in PEM; another algorithm only stands in the header: RFC 7515."""
    private = load_pem_private_key(private_key.encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    parts = [json.dumps(part).encode() for part in ({"alg": algorithm, "typ": "JWT"}, dict(claims))]
    text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    signature = private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git in a folder, as Ada."""
    command = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def working_copy(folder: Path, files: dict[str, str], branch: str = "main") -> Path:
    """A new folder with files, which are committed."""
    git(folder.parent, "init", "-q", "-b", branch, str(folder))
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "First")
    return folder


def with_token(url: str, token: str) -> str:
    """An address that git takes its password from."""
    return url.replace("http://", f"http://x-access-token:{token}@")


def branch_off(client: Client, repo: str, name: str, files: dict[str, str], base: str = "main") -> str:
    """A branch with one commit by GitHub's Git database, as a client makes it; returns the commit."""
    head = client.ok("GET", f"/repos/{repo}/git/ref/heads/{base}")["object"]["sha"]
    tree = [{"path": path, "mode": "100644", "type": "blob", "content": text} for path, text in files.items()]
    base_tree = client.ok("GET", f"/repos/{repo}/git/commits/{head}")["tree"]["sha"]
    tree_sha = client.ok("POST", f"/repos/{repo}/git/trees", {"base_tree": base_tree, "tree": tree})["sha"]
    commit = client.ok("POST", f"/repos/{repo}/git/commits", {"message": "More", "tree": tree_sha, "parents": [head]})
    client.ok("POST", f"/repos/{repo}/git/refs", {"ref": f"refs/heads/{name}", "sha": commit["sha"]})
    return commit["sha"]
