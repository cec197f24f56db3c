"""Let today's tests find in an older wheel what has been moved since: modules by what they define, names by ``RENAMED``.

A module that the wheel lacks is made of those in it that define what today's does: it reads and writes their attributes,
so that a patch of it is a patch of them. A name that none of them has is missing, as it is there.
"""

from __future__ import annotations

import ast
import importlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "portal_actions_plugin"
TABLES = {
    "action_runs": "ActionRunRow",
    "attempts": "AttemptRow",
    "audit": "AuditRow",
    "checkpoints": "CheckpointRow",
    "idempotency_keys": "IdempotencyKeyRow",
    "log_lines": "LogLineRow",
    "metric_sums": "MetricSumRow",
    "metric_watermark": "MetricWatermarkRow",
    "template_runs": "TemplateRunRow",
    "workers": "WorkerRow",
}
RENAMED = {
    f"{PACKAGE}.storage.tables": {
        "metadata": "Base.metadata",
        **{table: f"{row}.__table__" for table, row in TABLES.items()},
    },
}
"""For modules of today: names that they have, and where those that the module is made of have the same."""

MADE_OF = {f"{PACKAGE}.storage.tables": [f"{PACKAGE}.models"]}
"""For modules of today that share too few names with what they were: what that was."""


class Performer:
    """Who performs an attempt: there, its parts are arguments of ``perform``."""

    def __init__(self, process_token: str, worker: str, **more: Any) -> None:
        self.process_token, self.worker, self.more = process_token, worker, more


def perform_by(perform: Callable[..., Any]) -> Callable[..., Any]:
    return lambda run_id, performer: perform(run_id, performer.process_token, performer.worker, **performer.more)


ADAPTED: dict[tuple[str, str], Callable[[ModuleType], Any]] = {
    (f"{PACKAGE}.runner.attempt.prepare", "Performer"): lambda _module: Performer,
    (f"{PACKAGE}.runner.attempt.execute", "perform"): lambda execute: perform_by(execute.perform),
}
"""For names whose arguments are others today: what stands for them, made with the module that it was in."""

SEVERAL = 2
ENOUGH_NAMES, ENOUGH = 3, 0.45
Table = dict[str, list[str]]
"""The modules of today that an older package lacks or has as no package, each with those that define its names there."""


def table(today: Path, then: Path) -> Table:
    """Compare two folders with the package."""
    there = modules(then)
    defined_then = {module: defined(file) for module, file in there.items()}
    counted = Counter(name for names in defined_then.values() for name in names)
    often = {name for name, count in counted.items() if count > SEVERAL}  # say nothing of where a module comes from
    found: Table = {}
    for module, file in modules(today).items():
        is_package = file.name == "__init__.py"
        if module in there and not (is_package and there[module].name != "__init__.py"):
            continue
        wanted = defined(file) - often
        shared = {old: wanted & names for old, names in defined_then.items()}
        old = sorted((old for old in shared if tells(shared[old], wanted)), key=lambda old: (-len(shared[old]), old))
        if old or is_package or module in MADE_OF:
            found[module] = MADE_OF.get(module, old)
    return found


def tells(shared: set[str], wanted: set[str]) -> bool:
    """Whether names that two modules share say that one was made of the other: a class, or many of them."""
    has_class = any(name[:1].isupper() and not name.isupper() for name in shared)
    return has_class or len(shared) >= min(ENOUGH_NAMES, ENOUGH * len(wanted) or 1)


def modules(folder: Path) -> dict[str, Path]:
    """Each module of the package by its full name."""
    found = {}
    for file in (folder / PACKAGE).rglob("*.py"):
        if file.parent.name == "versions":
            continue  # a migration is found by alembic, and repeats the words of the one before
        parts = file.relative_to(folder).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def defined(file: Path) -> set[str]:
    """The names that a module gives to something of its own."""
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


class Moved(ModuleType):
    """A module of today, made of older ones."""

    def __init__(self, name: str, today: str, old: Sequence[str]) -> None:
        super().__init__(name)
        self.__dict__["_today"], self.__dict__["_old"] = today, old

    def __getattr__(self, name: str) -> Any:
        if adapted := ADAPTED.get((self.__dict__["_today"], name)):
            return adapted(importlib.import_module(self.__dict__["_old"][0]))
        owner, old_name = self._owner(name)
        return getattr(owner, old_name)

    def __setattr__(self, name: str, value: object) -> None:
        try:
            owner, old_name = self._owner(name)
        except AttributeError:
            super().__setattr__(name, value)
        else:
            setattr(owner, old_name, value)

    def _owner(self, name: str) -> tuple[Any, str]:
        """What has it there, and under which name."""
        if not name.startswith("__"):
            *way, known = RENAMED.get(self.__dict__["_today"], {}).get(name, name).split(".")
            for old in self.__dict__["_old"]:
                owner: Any = importlib.import_module(old)
                for part in way:
                    owner = getattr(owner, part)
                if hasattr(owner, known):
                    return owner, known
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


class Kept(ModuleType):
    """A module of then that has modules in it today: they are not set in place of what it has under their names."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (isinstance(value, Moved) and hasattr(self, name)):
            super().__setattr__(name, value)


class KeptLoader(SourceFileLoader):
    """Loads a module so that it is kept as it is."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        module.__class__ = Kept


class Finder(MetaPathFinder, Loader):
    """Finds the modules of today."""

    def __init__(self, moved: Table) -> None:
        self._moved = moved

    def find_spec(self, name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        if name not in self._moved:
            return None
        there = PathFinder.find_spec(name, path)
        if there is None:
            return ModuleSpec(name, self, is_package=self._has_modules(name))
        there.loader = KeptLoader(name, str(there.origin))
        there.submodule_search_locations = []  # it is no package there, and today's has modules in it
        return there

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        old = self._moved[spec.name]
        # A log has the name of its module.
        return Moved(spec.name if self._has_modules(spec.name) or not old else old[0], spec.name, old)

    def exec_module(self, module: ModuleType) -> None:
        pass

    def _has_modules(self, name: str) -> bool:
        return any(other.startswith(f"{name}.") for other in self._moved)


def install(file: Path) -> None:
    """Find modules by a table that was written down."""
    sys.meta_path.insert(0, Finder(json.loads(file.read_text())))
