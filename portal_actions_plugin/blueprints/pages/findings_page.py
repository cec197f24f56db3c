"""``/templates/findings``: what is to be mended about templates, for those who may edit them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from flask import Response, request

from portal_actions_plugin.blueprints.pages.page_answer import page
from portal_actions_plugin.host import Severity, TemplateFinding
from portal_actions_plugin.runs.guards.findings import TemplateReport
from portal_actions_plugin.runs.guards.identity import current_identity
from portal_actions_plugin.runs.reading import permitted
from portal_actions_plugin.upkeep import template_repositories

MAX_TEMPLATES = 50
"""Templates whose findings are shown; the others are named."""
MAX_NAMED = 500
MAX_OF_EACH = 10
"""Findings of each, where more than one template is shown."""


@dataclass(frozen=True, slots=True)
class Section:
    """A template with the first of its findings; ``more`` says how many are left out."""

    report: TemplateReport
    findings: tuple[TemplateFinding, ...]
    says: str

    @property
    def more(self) -> int:
        return len(self.report.findings) - len(self.findings)


def counted(findings: tuple[TemplateFinding, ...]) -> str:
    """How many findings there are, in words: ``2 problems and 1 warning``."""
    problems = sum(one.severity is Severity.PROBLEM for one in findings)
    parts = (_many(problems, "problem"), _many(len(findings) - problems, "warning"))
    return " and ".join(part for part in parts if part)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}" if count else ""


def findings() -> Response:
    """Show the findings, of all templates or of one."""
    own = permitted.own_templates(current_identity())
    wanted = request.args.get("template") or None
    reports = tuple(one for one in own.reports if wanted in (None, one.name))
    most = None if wanted else MAX_OF_EACH
    facts = {
        "wanted": wanted,
        "own": own,
        "sections": [
            Section(one, tuple(islice(one.findings, most)), counted(one.findings)) for one in reports[:MAX_TEMPLATES]
        ],
        "sources": template_repositories.sources() if not wanted else [],
        "others": [one.name for one in reports[MAX_TEMPLATES : MAX_TEMPLATES + MAX_NAMED]],
    }
    return page("findings.html", facts)
