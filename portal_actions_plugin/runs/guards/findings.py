"""Whom findings about templates are told: problems to who may read the template, warnings to who may edit it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import PurePath

from portal_actions_plugin.extension import extension
from portal_actions_plugin.host import Identity, Severity, TemplateFinding, TemplateListing
from portal_actions_plugin.runs.guards import access
from portal_actions_plugin.software_templates.loader import IN_FOLDER, UNREAD
from portal_actions_plugin.software_templates.sources.checkouts import KEY

log = logging.getLogger(__name__)

READ, EDIT = "template:read", "template:edit"


@dataclass(frozen=True, slots=True)
class TemplateReport:
    """What is to be mended about one template.

    Attributes:
        name: the template's, or its file's where it has none.
        title: what people call it; its name while it cannot be used.
        findings: problems, or warnings where it can be used.
        is_usable: whether it can be run.
        is_template: False for a Location and a repository: what is there of them is used all the same.
    """

    name: str
    title: str
    findings: tuple[TemplateFinding, ...]
    is_usable: bool
    is_template: bool = True


@dataclass(frozen=True, slots=True)
class OwnTemplates:
    """The templates that somebody may edit: how many of them can be used, and what is to be mended, the worst first."""

    usable: int
    reports: tuple[TemplateReport, ...]

    @property
    def unusable(self) -> int:
        """How many cannot be used."""
        return sum(report.is_template and not report.is_usable for report in self.reports)

    @property
    def warned(self) -> int:
        """How many can be used and have warnings."""
        return sum(report.is_template and report.is_usable for report in self.reports)


def as_told(identity: Identity | None, listing: TemplateListing) -> TemplateListing:
    """What somebody is told of all templates."""
    may = _Asked(identity)
    return replace(
        listing,
        templates=tuple(access.permitted_template(identity, one) for one in listing.templates if may.read(one.name)),
        problems=tuple(one for one in listing.problems if all(map(may.read, _about(one)))),
        warnings=tuple(one for one in listing.warnings if may.edit(one.template)),
    )


def own_templates(identity: Identity | None, listing: TemplateListing) -> OwnTemplates | None:
    """What there is to mend for somebody; None where there is nothing that they may edit."""
    may = _Asked(identity)
    usable = {one.name: one.title for one in listing.templates if may.edit(one.name)}
    problems = [one for one in listing.problems if all(map(may.edit, _about(one)))]
    if not (usable or problems or access.allowed(identity, EDIT)):
        return None
    broken = [
        TemplateReport(name, name, found, is_usable=False, is_template=not all(map(is_of_no_template, found)))
        for name, found in _by_template(problems).items()
    ]
    told = _by_template(one for one in listing.warnings if one.template in usable)
    warned = [TemplateReport(name, usable[name], found, is_usable=True) for name, found in told.items()]
    away = [
        TemplateReport(one.file, one.file, (one,), is_usable=True, is_template=False)
        for one in listing.warnings
        if is_of_repository(one) and may.edit("")
    ]
    return OwnTemplates(len(usable), (*broken, *away, *sorted(warned, key=lambda one: one.name)))


def findings_about(identity: Identity | None, name: str) -> tuple[TemplateFinding, ...]:
    """What there is to mend about one template, for a page that has other things to tell: nothing where that fails."""
    return _of_source(name) if _Asked(identity).edit(name) else ()


def is_anything_to_mend(identity: Identity | None) -> bool:
    """Whether there is a finding about a template that somebody may edit, for such a page."""
    if not access.allowed(identity, EDIT) and not access.decides_by_object():
        return False
    may = _Asked(identity)
    found = _of_source()
    return any(all(map(may.edit, names)) for names in dict.fromkeys(frozenset(_about(one)) for one in found))


def _of_source(name: str | None = None) -> tuple[TemplateFinding, ...]:
    try:
        listing = extension().templates.list()
    except Exception:  # whatever the host's source raises: the page is about something else
        log.exception("the findings about templates could not be read")
        return ()
    found = (*listing.problems, *listing.warnings)
    return found if name is None else tuple(one for one in found if one.template == name)


class _Asked:
    """What the identity may do with templates, each asked once: a template may have hundreds of findings."""

    def __init__(self, identity: Identity | None) -> None:
        # No name is for what is about no template: a repository.
        self.read = cache(lambda name: access.allowed(identity, READ, name or None))
        self._edit = cache(lambda name: access.allowed(identity, EDIT, name or None))

    def edit(self, name: str) -> bool:
        return self.read(name) and self._edit(name)


def _by_template(found: Iterable[TemplateFinding]) -> Mapping[str, tuple[TemplateFinding, ...]]:
    by_name: dict[str, list[TemplateFinding]] = {}
    for one in found:
        by_name.setdefault(one.template or one.file, []).append(one)
    return {name: tuple(of_it) for name, of_it in by_name.items()}


def _about(finding: TemplateFinding) -> set[str]:
    """What a template may be called that a finding is about: a file that cannot be read, or found, may not say its name."""
    if finding.template and (finding.severity is Severity.WARNING or finding.key not in UNREAD):
        return {finding.template}
    if is_of_repository(finding):
        return {""}
    path = PurePath(finding.file)
    if is_of_location(finding):  # about another file
        return {path.stem, _called(path), _called(PurePath(finding.value))}
    return {finding.template or path.stem, _called(path)}


def is_of_no_template(finding: TemplateFinding) -> bool:
    """Whether a finding is about a Location or a repository."""
    return is_of_location(finding) or is_of_repository(finding)


def is_of_repository(finding: TemplateFinding) -> bool:
    """Whether a finding is about fetching a repository, whatever templates it has."""
    return not finding.template and finding.key == KEY


def is_of_location(finding: TemplateFinding) -> bool:
    """Whether a finding is about what a Location leads to, and so about no template that anybody has."""
    return not finding.template and finding.key.startswith("spec.target")


def _called(file: PurePath) -> str:
    return (file.parent.name if file.name in IN_FOLDER else "") or file.stem
