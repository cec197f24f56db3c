"""The folders and files beside a template that its steps take: which they are, what is in them, and what is wrong there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal_actions_plugin.software_templates.checking.skeleton_syntax import check_syntax, fault_of_fetched
from portal_actions_plugin.software_templates.places import has_expression
from portal_actions_plugin.software_templates.skeletons.files import contents, digest, find_files
from portal_actions_plugin.software_templates.skeletons.names import FETCHING, Choices, SkeletonError, sources_of
from portal_actions_plugin.software_templates.skeletons.rendering import Style

if TYPE_CHECKING:
    from pathlib import Path

    from portal_actions_plugin.software_templates.findings import Findings
    from portal_actions_plugin.software_templates.places import Key
    from portal_actions_plugin.software_templates.spec import Step

MAX_SKELETONS = 20
"""Skeletons that the steps of one template name."""
RENDERING = frozenset({"scm.pushSkeleton@v1"})
"""The actions that are known to render the skeleton that they are given as a whole; any other one may copy it, or parts."""
TEMPLATING = frozenset({"fetch:template", "fetch:template:file"})
"""The actions that render what they fetch, in the language of their template."""
_COPYING = ("copyWithoutTemplating", "copyWithoutRender", "templateFileExtension")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a template lies.

    Attributes:
        base: the folder of its file.
        root: the folder that nothing may lead out of; None where that is ``base``.
    """

    base: Path
    root: Path | None


@dataclass(frozen=True, slots=True)
class NamedSkeleton:
    """A skeleton that a step names.

    Attributes:
        path: from the template's folder.
        key: where the step names it.
        is_rendered: whether all of it will be rendered.
        style: how its files are written, where all of it is rendered by ``fetch:template``.
        may_be_file: whether it may be one file.
        may_be_missing: whether a run may do without it, at home.
    """

    path: str
    key: Key
    is_rendered: bool = False
    style: Style | None = None
    may_be_file: bool = False
    may_be_missing: bool = False


def skeletons_of(steps: tuple[Step, ...], choices: Choices, findings: Findings) -> tuple[NamedSkeleton, ...]:
    """The skeletons that steps name, as far as that can be known without a run; notes what cannot be one.

    Args:
        steps: all of the template.
        choices: what its form offers.
        findings: where it is noted.
    """
    found: list[NamedSkeleton] = []
    for index, step in enumerate(steps):
        key: Key = ("spec", "steps", index, "input")
        try:
            found.extend(_of_step(step, choices, key))
        except SkeletonError as error:
            findings.add((*key, "url" if step.action in FETCHING else "skeleton"), str(error))
    if len({one.path for one in found}) > MAX_SKELETONS:
        findings.add(("spec", "steps"), f"the steps name more than {MAX_SKELETONS} skeleton folders")
        return ()
    return tuple(found)


def _of_step(step: Step, choices: Choices, key: Key) -> Iterator[NamedSkeleton]:
    for source in sources_of(step, choices):
        is_fetched = source.field == "url"
        yield NamedSkeleton(
            source.path,
            (*key, source.field),
            is_rendered=step.action in RENDERING,
            style=_style(step) if is_fetched and not source.is_choice else None,
            may_be_file=is_fetched,
            may_be_missing=is_fetched and (source.is_choice or not step.is_unconditional),
        )


def _style(step: Step) -> Style | None:
    """How the files of a skeleton are written; None where a run may copy some of them, or takes a part of it."""
    given = step.input
    if step.action not in TEMPLATING or any(name in given for name in _COPYING) or has_expression(given.get("url", "")):
        return None
    flags = [given.get(name, False) for name in ("cookiecutterCompat", "trimBlocks", "lstripBlocks")]
    return Style(*map(bool, flags)) if all(isinstance(flag, bool) for flag in flags) else None


def hash_skeletons(place: Place, named: tuple[NamedSkeleton, ...], findings: Findings) -> dict[str, str]:
    """Hash the files of all skeletons, and note those that cannot be used.

    Args:
        place: where the template lies.
        named: the skeletons.
        findings: where it is noted.

    Returns:
        The SHA-256 of each file by its path from the template's folder, sorted.
    """
    files: dict[str, str] = {}
    for path, ones in _by_path(named).items():
        is_rendered = any(one.is_rendered for one in ones)
        key = ones[-1].key
        styles = {one.style for one in ones}
        style = next(iter(styles)) if len(styles) == 1 else None
        fetched = fault_of_fetched(findings.reading, style) if style else None
        try:
            there = find_files(place.base, path, place.root)
            if there[0].path == path and not all(one.may_be_file for one in ones):
                raise SkeletonError(f"there is no skeleton folder {path}")
            for found, content in contents(there):
                files[found.path] = digest(content)
                if is_rendered:
                    check_syntax(found, content, key, findings)
                elif fetched and b"\0" not in content:
                    check_syntax(found, content, key, findings, fetched)
        except SkeletonError as error:
            note = findings.differ if all(one.may_be_missing for one in ones) else findings.add
            note(key, str(error))
    return dict(sorted(files.items()))


def _by_path(named: tuple[NamedSkeleton, ...]) -> Mapping[str, list[NamedSkeleton]]:
    by_path: dict[str, list[NamedSkeleton]] = {}
    for one in named:
        by_path.setdefault(one.path, []).append(one)
    return by_path
