"""The scorecard's rules: what each looks at, and the file that would make it pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from demo_portal.catalog import Entity

Files = frozenset[str]


@dataclass(frozen=True, slots=True)
class MissingFile:
    """The file that fixes a rule."""

    path: str
    content: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``check`` returns what is wrong, or None; ``fix`` is None where no pull request can help."""

    id: str
    title: str
    why: str
    check: Callable[[Entity, Files], str | None]
    fix: Callable[[Entity], MissingFile] | None = None


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Rules that belong together. A level is reached with so many of them passing."""

    id: str
    title: str
    about: str
    rules: tuple[Rule, ...]
    levels: tuple[tuple[int, str], ...]

    def level(self, passing: int) -> str:
        return next(name for least, name in self.levels if passing >= least)

    def rule(self, rule_id: str) -> Rule | None:
        return next((rule for rule in self.rules if rule.id == rule_id), None)


def _has_owner(entity: Entity, _files: Files) -> str | None:
    return None if entity.owner else "Nobody is named as its owner."


def _has_readme(_entity: Entity, files: Files) -> str | None:
    there = any(path.lower().split(".")[0] == "readme" for path in files if "/" not in path)
    return None if there else "There is no README at the top of the repository."


def _has_codeowners(_entity: Entity, files: Files) -> str | None:
    there = files & {"CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS"}
    return None if there else "There is no CODEOWNERS file."


def _has_pipeline(_entity: Entity, files: Files) -> str | None:
    there = any(path.startswith((".ci/", ".github/workflows/")) or path == ".gitlab-ci.yml" for path in files)
    return None if there else "There is no pipeline in the repository."


def _readme(entity: Entity) -> MissingFile:
    about = entity.description or "What it does, in a sentence."
    return MissingFile("README.md", f"# {entity.name}\n\n{about}\n\nOwned by {entity.team or 'nobody yet'}.\n")


def _codeowners(entity: Entity) -> MissingFile:
    owner = entity.repository.partition("/")[0]
    return MissingFile("CODEOWNERS", f"# Who is asked to review.\n* @{owner}/{entity.team or owner}\n")


def _pipeline(_entity: Entity) -> MissingFile:
    return MissingFile(".ci/pipeline.yaml", "steps:\n  - name: test\n    run: make test\n")


PRODUCTION_READINESS = Scorecard(
    "production-readiness",
    "Production readiness",
    "What a service needs before people depend on it.",
    (
        Rule("registered-with-an-owner", "Registered with an owner", "Somebody answers when it breaks.", _has_owner),
        Rule("readme-exists", "README exists", "Newcomers find out what it is and how it runs.", _has_readme, _readme),
        Rule("has-codeowners", "Has a CODEOWNERS file", "Every change has a reviewer.", _has_codeowners, _codeowners),
        Rule("has-a-pipeline", "Has a pipeline", "Tests run before a change is merged.", _has_pipeline, _pipeline),
    ),
    ((4, "gold"), (3, "silver"), (2, "bronze"), (0, "none")),
)
