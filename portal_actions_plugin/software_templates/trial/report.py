"""What the templates of a folder need to run here: the report of ``flask actions template try``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING

from portal_actions_plugin.software_templates.checking.skeleton_syntax import CANNOT_BE_RENDERED
from portal_actions_plugin.software_templates.expressions.limits import SandboxError, budget
from portal_actions_plugin.software_templates.parameters.schemas import declared
from portal_actions_plugin.software_templates.places import written
from portal_actions_plugin.software_templates.sources.files import shown_path
from portal_actions_plugin.software_templates.sources.locations import Expansion
from portal_actions_plugin.software_templates.sources.reading import CHECK_SECONDS, UNREAD, TemplateReader
from portal_actions_plugin.software_templates.trial.absences import (
    missed_names,
    missing_actions,
    needed_optionals,
    refused_inputs,
    unanswerable,
)
from portal_actions_plugin.software_templates.trial.files import template_files
from portal_actions_plugin.software_templates.trial.mending import (
    Mended,
    Score,
    as_required,
    mend,
    patch,
    ways,
    with_default,
)

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from portal_actions_plugin.host import TemplateFinding
    from portal_actions_plugin.software_templates.checking.documents import Forbids
    from portal_actions_plugin.software_templates.findings import Checked
    from portal_actions_plugin.software_templates.spec import Template


_WORST: Score = (1_000_000, 0, 0)
_UNREAD = 1_000
"""So much worse is a file that cannot be read: nobody knows what else it has."""
_EMPTY = {"boolean": "false", "array": "[]", "object": "{}", "integer": "0", "number": "0"}


class State(StrEnum):
    """What a template needs; the words are those of the report."""

    RUNS = "runs today"
    LINE = "needs a line"
    WAITS = "waits"
    BROKEN = "is broken"


@dataclass(frozen=True, slots=True)
class Tried:
    """One template of a report.

    Attributes:
        name: as its document says it.
        file: below the folder that was tried.
        line: where the name is.
        state: what it needs; one that needs lines and waits too, waits.
        waits_for: actions and words of the format that this portal lacks, sorted.
        problems: what else keeps it from being used, before any line is changed; also warnings that every run fails by.
        warnings: what it had better be rid of.
        fails_without: optional parameters whose absence fails a step.
        patch: a unified diff below the folder; empty where no line helps, or none is needed.
        lines: how many lines the patch changes.
    """

    name: str
    file: str
    line: int
    state: State
    waits_for: tuple[str, ...] = ()
    problems: tuple[TemplateFinding, ...] = ()
    warnings: tuple[TemplateFinding, ...] = ()
    fails_without: tuple[str, ...] = ()
    patch: str = ""
    lines: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What was tried.

    Attributes:
        templates: by file and line.
        problems: of Locations.
    """

    templates: tuple[Tried, ...]
    problems: tuple[TemplateFinding, ...] = ()

    @property
    def all_run(self) -> bool:
        """Whether every template runs as it is, with its required parameters alone."""
        return not self.problems and all(one.state is State.RUNS and not one.fails_without for one in self.templates)

    @property
    def waited_for(self) -> list[tuple[str, int]]:
        """What templates wait for, and how many do; what most of them wait for comes first."""
        counted = Counter(name for one in self.templates for name in one.waits_for)
        return sorted(counted.items(), key=lambda item: (-item[1], item[0]))


@dataclass(frozen=True, slots=True)
class Portal:
    """What a portal has that templates are judged by: see ``FolderTemplateSource``."""

    known_actions: Container[str]
    forbids: Forbids | None = None
    yaml_merge: bool = False

    def reader(self, folders: Sequence[Path]) -> TemplateReader:
        """What reads templates as this portal does; paths are shown below the folders."""
        return TemplateReader(folders, self.known_actions, self.forbids, yaml_merge=self.yaml_merge)


def try_folder(folder: Path, portal: Portal, root: Path | None = None) -> Report:
    """Try each template below a folder, at every depth.

    Args:
        folder: where to look; files are named below it.
        portal: whose actions there are.
        root: the repository that the folder is of: placeholders may name what is in it. None when it is the folder.

    Raises:
        TooManyFilesError: there are more files than are looked at.
    """
    tried: list[Tried] = []
    problems: list[TemplateFinding] = []
    for file in template_files(folder):
        attempt = _Attempt(file, folder, root or folder, portal)
        loaded = attempt.reader.read(file, root or folder)
        tried.extend(attempt.judge(one) for one in loaded.checked)
        problems.extend((*loaded.problems, *attempt.reader.follow(file, loaded, Expansion(root or folder))[1]))
    return Report(tuple(tried), tuple(problems))


class _Attempt:
    """Judges the templates of one file."""

    def __init__(self, file: Path, folder: Path, root: Path, portal: Portal) -> None:
        self._file = file
        self._root = root
        self._portal = portal
        self._shown = shown_path(file, (folder,))
        self._judged_texts: dict[tuple[str, str], tuple[Tried, Checked] | None] = {}
        self.reader = portal.reader((folder,))

    def judge(self, checked: Checked) -> Tried:
        """Say what a template needs, and try which lines would help."""
        before = self._judged(checked)
        if before.state is not State.BROKEN and not before.fails_without:
            return before
        try:
            text = self._file.read_bytes().decode(errors="surrogateescape")
        except OSError:
            return before  # its problem says that
        self._judged_texts = {(text, checked.name): (before, checked)}
        mended = mend(text, lambda changed: self._judge_text(changed, checked.name))
        if mended.lines == 0:
            return before
        after = self._of_text(mended.text, checked.name)
        if after is None or after[0].state is State.BROKEN or after[0].fails_without:
            return before
        return self._with_patch(before, after[0], text, mended)

    def _with_patch(self, before: Tried, after: Tried, text: str, mended: Mended) -> Tried:
        state = State.LINE if after.state is State.RUNS else after.state
        diff = patch(self._shown, text, mended.text)
        return replace(before, state=state, waits_for=after.waits_for, patch=diff, lines=mended.lines)

    def _judged(self, checked: Checked) -> Tried:
        template = checked.template or checked.waiting
        known = self._portal.known_actions
        fails = refused_inputs(template, known) if template else frozenset()
        missed = missed_names(template, known) if template else {}
        lost = unanswerable(template) if template else frozenset()
        files = _keys_of_files(template) if template else frozenset()
        fatal = [
            one
            for one in checked.warnings
            if one.key in fails or _is_missed(one, missed) or _is_lost(one, lost) or self._is_of_file(one, files)
        ]
        problems = (*(one for one in checked.problems if not one.waits_for), *fatal)
        may_wait = {one.waits_for for one in checked.warnings}
        wanted = {one.waits_for for one in checked.problems}
        wanted |= may_wait & missing_actions(template, known) if template else may_wait
        waits = tuple(sorted(wanted - {""}))
        return Tried(
            name=checked.name,
            file=self._shown,
            line=checked.line,
            state=State.BROKEN if problems else State.WAITS if waits else State.RUNS,
            waits_for=waits,
            problems=problems,
            warnings=tuple(one for one in checked.warnings if one not in fatal),
            fails_without=needed_optionals(template, known) if template else (),
        )

    def _is_of_file(self, warning: TemplateFinding, keys: frozenset[str]) -> bool:
        """Whether a warning is of a file beside the template which no run can render."""
        return warning.key in keys and warning.file != self._shown and CANNOT_BE_RENDERED in warning.message

    def _of_text(self, text: str, name: str) -> tuple[Tried, Checked] | None:
        if (text, name) not in self._judged_texts:
            self._judged_texts[text, name] = self._read(text, name)
        return self._judged_texts[text, name]

    def _read(self, text: str, name: str) -> tuple[Tried, Checked] | None:
        try:
            with budget(seconds=CHECK_SECONDS):
                loaded = self.reader.read_content(text.encode(errors="surrogateescape"), self._file, self._root)
        except SandboxError:
            return None
        return next(((self._judged(one), one) for one in loaded.checked if one.name == name), None)

    def _judge_text(self, text: str, name: str) -> tuple[Iterable[Mended], Score]:
        """What a text may become, and how good it is: its template must still be there, by its name."""
        found = self._of_text(text, name)
        if found is None:
            return (), _WORST
        tried, checked = found
        unread = sum(_UNREAD for one in tried.problems if one.key in UNREAD)
        score = (unread + len(tried.problems), len(tried.fails_without), unread + len(tried.warnings))
        return chain(
            ways(text, [one for one in tried.problems if one.file == self._shown]), _given(text, checked, tried)
        ), score


def _is_missed(warning: TemplateFinding, missed: Mapping[int, frozenset[str]]) -> bool:
    """Whether a warning is of a name that a step cannot do without."""
    return any(
        warning.key.startswith(f"{written(('spec', 'steps', index, 'input'))}.")
        and any(repr(name) in warning.message for name in names)
        for index, names in missed.items()
    )


def _keys_of_files(template: Template) -> frozenset[str]:
    """Where a template names files that every run renders."""
    return frozenset(
        written(("spec", "steps", index, "input", name))
        for index, step in enumerate(template.steps)
        if step.is_unconditional
        for name in ("skeleton", "url")
    )


def _is_lost(warning: TemplateFinding, names: frozenset[str]) -> bool:
    """Whether a warning is of a name that is required, and that nobody can give."""
    is_of_form = warning.key.startswith("spec.parameters") and "required" in warning.key
    return is_of_form and any(repr(name) in warning.message for name in names)


def _given(text: str, checked: Checked, tried: Tried) -> Iterator[Mended]:
    """A text where a parameter that steps need has a value when it was not given, or has to be given."""
    template = checked.template or checked.waiting
    fields = declared(template.inputs_schema()) if template and tried.fails_without else {}
    for name in tried.fails_without:
        kinds = [str(schema.get("type")) for schema in fields.get(name, ()) if isinstance(schema, Mapping)]
        yield from with_default(text, name, _EMPTY.get(kinds[0] if kinds else "", "''"))
        yield from as_required(text, name)


def counts(tried: Iterable[Tried]) -> dict[State, int]:
    """How many templates are in each state."""
    found = Counter(one.state for one in tried)
    return {state: found[state] for state in State}
