"""Check that each package declares what it imports and imports what it declares.

deptry does not read setup.cfg, so it gets what stands there as requirements files.
"""

from __future__ import annotations

import configparser
import subprocess
import sys
import tempfile
from pathlib import Path

OURS = ("portal-actions-plugin", "demo-portal")


def main() -> int:
    failed = _check("portal_actions_plugin", Path("setup.cfg"))
    failed |= _check("demo_portal", Path("demo_portal/setup.cfg"))
    return failed


def _check(folder: str, setup: Path) -> int:
    config = configparser.ConfigParser()
    config.read(setup)
    extras = config["options.extras_require"] if config.has_section("options.extras_require") else {}
    with tempfile.TemporaryDirectory() as temporary:
        needed, optional = Path(temporary, "needed.txt"), Path(temporary, "optional.txt")
        needed.write_text(_foreign(config["options"]["install_requires"]))
        optional.write_text(_foreign("\n".join(extras.values())))
        command = [sys.executable, "-m", "deptry", folder, "--no-ansi"]
        return subprocess.run([*command, "-rf", needed, "-rfd", optional], check=False).returncode


def _foreign(requirements: str) -> str:
    return "\n".join(line for line in requirements.split("\n") if not line.startswith(OURS))


if __name__ == "__main__":
    sys.exit(main())
