"""The ``when`` of a form's page as JSON Schema, as far as that can say the same."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from portal_actions_plugin.software_templates.parameters.schemas import declared, merge_pages, plain_page
from portal_actions_plugin.software_templates.readings import Reading

if TYPE_CHECKING:
    from portal_actions_plugin.run_types import JsonValue
    from portal_actions_plugin.software_templates.parameters.schemas import Schema

_MAX_TEXT = 2_000
_BRACES = re.compile(r"\$\{\{(.*)\}\}", re.DOTALL)
_TERM = re.compile(
    r"""\s*(?P<not>not\s+)?parameters(?:\.(?P<name>[A-Za-z_]\w*)|\[\s*(?P<quoted>'[^'\\]*'|"[^"\\]*")\s*\])\s*
    (?:(?P<sign>===|!==|==|!=)\s*(?P<value>'[^'\\]*'|"[^"\\]*"|true|false|-?\d{1,15}))?\s*""",
    re.VERBOSE,
)
_DEFINITIONS = ("definitions", "$defs")
_NOTHING: list[Any] = [None, False, 0, ""]


def as_branch(page: Schema) -> Schema:
    """A page as one schema that is a branch of the form: what it asks for does not count always.

    Args:
        page: as written.
    """
    return page if "when" not in page else _branch(page, {})


def as_published(page: Schema, reading: Reading) -> Schema:
    """A page as one schema, for those who give inputs: what it asks for counts while it is shown.

    Where JSON Schema cannot say when that is, nothing on it is required.

    Args:
        page: as written.
        reading: how its document is read.
    """
    if "when" not in page:
        return page
    condition = condition_schema(page["when"], reading)
    if condition is not None:
        # A condition that is negated twice judges the answers, and does not make them known.
        return _branch(page, {"not": {"not": condition}})
    plain = plain_page(page)
    names = declared(merge_pages([plain], ""))
    kept = {word: value for word, value in plain.items() if word in (*_DEFINITIONS, "title", "description")}
    return {**kept, "properties": {**dict.fromkeys(names, True), **plain.get("properties", {})}}


def _branch(page: Schema, condition: Schema) -> Schema:
    plain = plain_page(page)
    around: dict[str, Any] = {word: plain.pop(word) for word in _DEFINITIONS if word in plain}
    return {**around, "allOf": [{"if": condition, "then": plain}]}


def condition_schema(when: JsonValue, reading: Reading) -> Schema | bool | None:
    """The schema that holds of the answers just where a page is shown; None where JSON Schema cannot say so.

    Args:
        when: of a page.
        reading: how its document is read.
    """
    if isinstance(when, bool) or not isinstance(when, str) or not when.strip():
        return when is not False
    text = when.strip()
    if len(text) > _MAX_TEXT:
        return None
    inside = _BRACES.fullmatch(text)
    if inside is None and "${{" in text:
        return None
    return _all_of(inside[1] if inside else text, reading)


def _all_of(text: str, reading: Reading) -> Schema | None:
    words = [(word, parts) for word in ("and", "or") if len(parts := re.split(rf"\s{word}\s", text)) > 1]
    if len(words) > 1:
        return None
    word, parts = words[0] if words else ("and", [text])
    terms = [_term(part, reading, is_alone=len(parts) == 1) for part in parts]
    if any(term is None for term in terms):
        return None
    return {"allOf" if word == "and" else "anyOf": terms} if len(terms) > 1 else terms[0]


def _term(text: str, reading: Reading, *, is_alone: bool) -> dict[str, Any] | None:
    found = _TERM.fullmatch(text)
    if found is None:
        return None
    name = found["name"] or found["quoted"][1:-1]
    if found["sign"] is None:
        # Everywhere but in a condition that is one parameter alone, JavaScript has an empty list as true.
        is_python = reading is Reading.STRICT
        empty: list[Any] = [[], {}] if is_python else [[]] if is_alone and not found["not"] else []
        held: dict[str, Any] = {"properties": {name: {"not": {"enum": [*_NOTHING, *empty]}}}, "required": [name]}
        return {"not": held} if found["not"] else held
    value = found["value"]
    wanted = value[1:-1] if value[0] in "'\"" else json.loads(value)
    if found["not"] or not _says_the_same(found["sign"], wanted, reading):
        return None
    held = {"properties": {name: {"const": wanted}}, "required": [name]}
    return {"not": held} if found["sign"].startswith("!") else held


def _says_the_same(sign: str, wanted: object, reading: Reading) -> bool:
    """Whether a comparison is JSON Schema's ``const``: a text and a number may be loosely equal at home."""
    if reading is Reading.STRICT:
        return len(sign) == 2 and isinstance(wanted, str)
    return len(sign) == 3 or (isinstance(wanted, str) and re.fullmatch(r"\s*[A-Za-z_][\w -]*", wanted) is not None)
