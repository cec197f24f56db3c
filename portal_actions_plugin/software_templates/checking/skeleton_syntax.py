"""What of a skeleton's files cannot be rendered whatever the values are: their names and their texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from portal_actions_plugin.software_templates.expressions.limits import current_budget
from portal_actions_plugin.software_templates.expressions.rendering import FileFault, fault_of_file

if TYPE_CHECKING:
    from portal_actions_plugin.software_templates.findings import Findings
    from portal_actions_plugin.software_templates.places import Key
    from portal_actions_plugin.software_templates.skeleton import Found


def check_syntax(found: Found, content: bytes, key: Key, findings: Findings) -> None:
    """Note what of one file of a skeleton cannot be read, in its name and in its text.

    Args:
        found: the file.
        content: what is in it; what is no UTF-8 text is copied as it is.
        key: where the template names the skeleton.
        findings: where it is noted, with the file's own line.
    """
    name = PurePosixPath(found.path)
    for fault, where in _faults(found.path, content):
        message = f"{where} of {name} cannot be rendered: {fault.problem}"
        findings.differ_in_file(found.file, fault.line, key, message, value=fault.text)


def _faults(path: str, content: bytes) -> Iterator[tuple[FileFault, str]]:
    current_budget().check_time()
    if fault := fault_of_file(path):
        yield fault, "the name"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return
    if fault := fault_of_file(text):
        yield fault, f"line {fault.line}"
