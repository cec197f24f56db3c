"""Where the portal keeps its things, and where it is found. The environment says both."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

DATA_DIR = "DEMO_PORTAL_DATA_DIR"
URL = "DEMO_PORTAL_URL"
GITHUB_URL = "DEMO_PORTAL_GITHUB_URL"
DEFAULT_URL = "http://127.0.0.1:5000"


@dataclass(frozen=True, slots=True)
class Settings:
    """The portal's settings. Everything that it keeps lies below ``data_dir``.

    Attributes:
        github_url: where an emulator of GitHub answers; empty when there is none, and the forge on the disk is all.
    """

    data_dir: Path
    url: str = DEFAULT_URL
    github_url: str = ""

    @classmethod
    def from_environment(cls) -> Settings:
        data_dir = Path(os.environ.get(DATA_DIR) or "var/demo").absolute()
        return cls(data_dir, os.environ.get(URL, DEFAULT_URL).rstrip("/"), os.environ.get(GITHUB_URL, ""))

    def as_environment(self) -> Mapping[str, str]:
        """What makes another process find the same portal."""
        return {DATA_DIR: str(self.data_dir), URL: self.url, GITHUB_URL: self.github_url}

    @property
    def forge(self) -> str:
        """Where templates make repositories unless somebody chooses another forge."""
        return "github" if self.github_url else "local"

    @property
    def store(self) -> Path:
        return self.data_dir / "portal.db"

    @property
    def runs_database(self) -> Path:
        return self.data_dir / "portal_actions.db"

    @property
    def repositories(self) -> Path:
        return self.data_dir / "git"

    @property
    def forge_url(self) -> str:
        return f"{self.url}/forge"

    @property
    def redis_socket(self) -> Path:
        return self.data_dir / "valkey.sock"

    @property
    def redis_url(self) -> str:
        return f"unix://{quote(str(self.redis_socket))}"

    @property
    def secret_key_file(self) -> Path:
        return self.data_dir / "secret.key"

    @property
    def inputs_key_file(self) -> Path:
        return self.data_dir / "secret-inputs.key"
