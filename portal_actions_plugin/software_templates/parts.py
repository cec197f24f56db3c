"""The parts of a template that carry tags, and a template without those that somebody may not have."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from portal_actions_plugin.host import TemplatePart
from portal_actions_plugin.software_templates.parameters.schemas import declared, merge_pages, plain_page
from portal_actions_plugin.software_templates.parameters.tags import tags_of
from portal_actions_plugin.software_templates.places import Key

if TYPE_CHECKING:
    from portal_actions_plugin.software_templates.parameters.schemas import Schema
    from portal_actions_plugin.software_templates.spec import Template


def tagged_parts(template: Template) -> Iterator[tuple[Key, TemplatePart]]:
    """The parts that have tags, each with its place: a page, a parameter of a page, a step."""
    for index, page in enumerate(template.parameters):
        if tags := tags_of(page):
            yield ("parameters", index), TemplatePart(template.name, "page", str(page.get("title", "")), tags)
        for name, schema in page.get("properties", {}).items():
            if tags := tags_of(schema):
                yield ("parameters", index, name), TemplatePart(template.name, "parameter", name, tags)
    for index, step in enumerate(template.steps):
        if step.tags:
            yield ("steps", index), TemplatePart(template.name, "step", step.id, step.tags)


def without(template: Template, places: Collection[Key]) -> Template:
    """A template as it is for somebody who may not have some of its parts.

    Args:
        template: whole; it is not changed.
        places: of those parts, as ``tagged_parts`` gives them.
    """
    gone: set[str] = set(template.withheld_parameters)
    pages = []
    for index, page in enumerate(template.parameters):
        names = {str(place[2]) for place in places if place[:2] == ("parameters", index) and len(place) > 2}
        if ("parameters", index) in places:
            gone |= declared(merge_pages([plain_page(page)], "")).keys()
        else:
            gone |= names
            pages.append(_without_names(page, names))
    steps = [step for index, step in enumerate(template.steps) if ("steps", index) not in places]
    # Not what only a condition names: whoever may not have a parameter must not reach it by what others depend on.
    left = {name for page in pages for name in page.get("properties", {})}
    kept = {step.id for step in steps}
    withheld = {*template.withheld_steps, *(step.id for step in template.steps)} - kept
    return replace(
        template,
        parameters=tuple(pages),
        steps=tuple(steps),
        withheld_parameters=tuple(sorted(gone - left)),
        withheld_steps=tuple(sorted(withheld)),
    )


def _without_names(page: Schema, names: Collection[str]) -> Schema:
    if not names:
        return page
    left: dict[str, Any] = dict(page)
    left["properties"] = {name: schema for name, schema in page["properties"].items() if name not in names}
    if "required" in left:
        left["required"] = [name for name in left["required"] if name not in names]
    return left
