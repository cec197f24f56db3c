"""What of a skeleton's files cannot be rendered whatever the values are: their names and their texts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from portal_actions_plugin.software_templates.expressions.limits import current_budget
from portal_actions_plugin.software_templates.expressions.rendering import FileFault, fault_of_file
from portal_actions_plugin.software_templates.skeletons.rendering import fault_of

if TYPE_CHECKING:
    from portal_actions_plugin.software_templates.findings import Findings
    from portal_actions_plugin.software_templates.places import Key
    from portal_actions_plugin.software_templates.readings import Reading
    from portal_actions_plugin.software_templates.skeletons.files import Found
    from portal_actions_plugin.software_templates.skeletons.rendering import Style


FaultOf = Callable[[str], FileFault | None]
"""What of a text cannot be rendered whatever the values are."""
CANNOT_BE_RENDERED = "cannot be rendered"
"""What every finding says of a file that fails the steps which render it."""
SECONDS = 1.0
"""Processor time for the files that steps of one template fetch: what is not looked at by then fails its step."""


def fault_of_fetched(reading: Reading, style: Style) -> FaultOf:
    """The check of files that ``fetch:template`` renders, for as long as there is time for it.

    Args:
        reading: of the template.
        style: what the signs of its files are.
    """
    end = time.thread_time() + SECONDS
    return lambda text: fault_of(text, reading, style) if time.thread_time() < end else None


def check_syntax(found: Found, content: bytes, key: Key, findings: Findings, fault_of: FaultOf = fault_of_file) -> None:
    """Note what of one file of a skeleton cannot be read, in its name and in its text.

    Args:
        found: the file.
        content: what is in it; what is no UTF-8 text is copied as it is.
        key: where the template names the skeleton.
        findings: where it is noted, with the file's own line.
        fault_of: what of a name or a text cannot be rendered.
    """
    name = PurePosixPath(found.path)
    for fault, where in _faults(found.path, content, fault_of):
        message = f"{where} of {name} {CANNOT_BE_RENDERED}: {fault.problem}"
        findings.differ_in_file(found.file, fault.line, key, message, value=fault.text)


def _faults(path: str, content: bytes, fault_of: FaultOf) -> Iterator[tuple[FileFault, str]]:
    current_budget().check_time()
    if fault := fault_of(path):
        yield fault, "the name"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return
    if fault := fault_of(text):
        yield fault, f"line {fault.line}"
