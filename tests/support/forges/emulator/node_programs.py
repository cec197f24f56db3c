"""Node and the npm packages that the emulator of GitHub needs, pinned by npm/package-lock.json and kept between test runs.

``python -m tests.support.forges.emulator.node_programs`` installs them beforehand.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

from tests.support import npm_packages
from tests.support.npm_packages import NotToBeHadError, node

__all__ = ["NotToBeHadError", "install", "node"]

PINNED = Path(__file__).parent / "npm"
FOLDER = Path(os.environ.get("FORGE_EMULATORS_FOLDER") or Path(sys.prefix) / "forge-emulators")
"""Where they are kept: in the virtual environment, which ``make clean`` takes away with it, or where you say."""

EMULATE = FOLDER / "node_modules" / "emulate" / "dist" / "index.js"
PRISM = FOLDER / "node_modules" / "@stoplight" / "prism-cli" / "dist" / "index.js"
DESCRIPTION = FOLDER / "github.json"
"""GitHub's own description of the parts of its API that we call, word for word; with all of it prism takes twice as long."""

_PATHS = re.compile(
    r"/(meta|rate_limit|user(/repos|/orgs)?|app(/installations.*)?|installation/repositories"
    r"|(users|orgs)/\{\w+\}(/repos|/installation|/teams(/\{team_slug\}(/repos/.*)?)?)?"
    r"|repos/\{owner\}/\{repo\}(/(topics|contents/.*|readme|git/.*|branches(/\{branch\}(/protection(/required_signatures)?)?)?|commits(/\{ref\})?"
    r"|compare/.*|pulls(/\{pull_number\}(/merge|/requested_reviewers)?)?|hooks(/\{hook_id\})?|collaborators(/\{username\})?|invitations|teams"
    r"|issues(/\{issue_number\}(/labels|/assignees)?)?|labels(/\{name\})?|installation|properties/values|subscription"
    r"|actions/((variables|secrets|workflows|runs)(/.*)?|oidc/customization/sub|permissions/access)))?)"
)


def install() -> None:
    """Install what is not there in the pinned versions; raises NotToBeHadError. Several processes may call it at once."""
    npm_packages.install(PINNED, FOLDER, prepare=_keep_description, prepared_by=_PATHS.pattern)


def _keep_description() -> None:
    """Write the description down, and throw the 400 MB of descriptions away that nobody reads."""
    generated = FOLDER / "node_modules" / "@octokit" / "openapi" / "generated"
    description = json.loads((generated / "api.github.com.json").read_text())
    description["paths"] = {path: one for path, one in description["paths"].items() if _PATHS.fullmatch(path)}
    description.pop("x-webhooks", None)
    DESCRIPTION.write_text(json.dumps(description))
    shutil.rmtree(generated)


if __name__ == "__main__":
    try:
        install()
    except NotToBeHadError as error:
        raise SystemExit(str(error)) from None
