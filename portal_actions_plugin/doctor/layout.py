"""The doctor's look at the layout that the host's setting names: our pages need three blocks of it."""

from __future__ import annotations

from collections.abc import Iterator

from flask import current_app
from jinja2 import TemplateError, nodes

from portal_actions_plugin.doctor.findings import Check, Finding, critical, warning
from portal_actions_plugin.extension import extension

BLOCKS = {
    "content": "every page is empty",
    "head": "no page has our stylesheet and script",
    "title": "no page has a title",
}
"""What our pages fill, and what comes of it where the layout does not have that block."""

MAX_PARENTS = 20

_MEND = "correct PORTAL_ACTIONS_BASE_TEMPLATE, or the layout: it needs the blocks title, head and content"


def _layout() -> Iterator[Finding]:
    name = extension().config.base_template
    try:
        found = _blocks_along_extends(name)
    except (TemplateError, OSError) as error:
        yield critical("layout", f"no page can be shown: {name}: {type(error).__name__}: {error}", _MEND)
        return
    if found is None:
        return  # it decides at run time what it extends
    for block, without in BLOCKS.items():
        if block not in found:
            tell = warning if block == "title" else critical
            yield tell("layout", f"{name} has no block {block}, also not in what it extends: {without}", _MEND)


def _blocks_along_extends(name: str) -> set[str] | None:
    """The blocks of a layout and of all that it extends; None where that is not named in the file.

    Raises:
        TemplateError: a file is missing, or is no template.
        OSError: a file cannot be read.
    """
    environment = current_app.jinja_env
    if environment.loader is None:
        return None
    found: set[str] = set()
    for _ in range(MAX_PARENTS):
        source, _, _ = environment.loader.get_source(environment, name)
        tree = environment.parse(source, name)
        found |= {block.name for block in tree.find_all(nodes.Block)}
        parent = next(tree.find_all(nodes.Extends), None)
        if parent is None:
            return found
        if not isinstance(parent.template, nodes.Const):
            return None
        name = str(parent.template.value)
    raise TemplateError(f"it extends more than {MAX_PARENTS} others, or itself")


CHECK = Check("layout", _layout, "the layout has the blocks that pages need")
