"""What axe-core finds on a page, in both colour schemes, wide and narrow."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
ALL_RULES = {"resultTypes": ["violations"]}
COLOURS = {**ALL_RULES, "runOnly": ["color-contrast", "link-in-text-block"]}
LOOKS = (("light", WIDE, ALL_RULES), ("light", NARROW, ALL_RULES), ("dark", WIDE, COLOURS), ("dark", NARROW, COLOURS))
"""Dark is only other colours: what does not depend on them is looked at once for each width."""


def found_by_axe(tab: Any) -> list[str]:
    """What is wrong with the page as it is open now, all its folds open, and its filters."""
    tab.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true })")
    tab.evaluate("document.querySelectorAll('[popover]').forEach((panel) => { panel.showPopover() })")
    axe, found = Axe(), []
    for scheme, size, rules in LOOKS:
        tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        tab.set_viewport_size(size)
        for violation in axe.run(tab, options=rules).response["violations"]:
            nodes = [f"{node['html'][:200]}: {node['failureSummary']}" for node in violation["nodes"]]
            found.append(f"{scheme}, {size['width']} px: {violation['id']}: {violation['help']}: {nodes}")
    return found
