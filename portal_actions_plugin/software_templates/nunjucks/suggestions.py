"""What to write instead of JavaScript that the language of templates does not have."""

from __future__ import annotations

import re

from portal_actions_plugin.software_templates.nunjucks.blocks import parse_template
from portal_actions_plugin.software_templates.nunjucks.syntax import NunjucksSyntaxError

_MAX = 400
"""Characters of a text that is looked at: what is longer is no slip of the pen."""
_TEXT = "\x00"
"""Stands for a text in quotes."""
_IN_QUOTES = re.compile(r"\"[^\"]*\"|'[^']*'")
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_OPERATORS = (
    (re.compile(r"\s*&&\s*"), " and "),
    (re.compile(r"\s*\|\|\s*"), " or "),
    (re.compile(r"!(?!=)\s*"), "not "),
    (re.compile(r"\?\.(?=[A-Za-z_])"), "."),
    (re.compile(r"\s*\?\?\s*"), " or "),
)


def instead_of(text: str) -> str:
    """A text with JavaScript's operators written as templates do.

    Args:
        text: of a template, which cannot be parsed.

    Returns:
        The same in the language of templates; empty where that is not known.
    """
    if len(text) > _MAX or _TEXT in text:
        return ""
    rewritten = _EXPRESSION.sub(lambda found: f"${{{{ {_rewritten(found[1]).strip()} }}}}", text)
    if rewritten == text:
        return ""
    try:
        parse_template(rewritten)
    except NunjucksSyntaxError:
        return ""
    return rewritten


def _rewritten(source: str) -> str:
    texts = _IN_QUOTES.findall(source)
    bare = _IN_QUOTES.sub(_TEXT, source)
    for pattern, ours in _OPERATORS:
        bare = pattern.sub(ours, bare)
    if bare.count("?") == 1 and bare.count(":") == 1 and bare.index("?") < bare.index(":"):
        condition, _, rest = bare.partition("?")
        value, _, otherwise = rest.partition(":")
        # The texts come in another order then: each stands where its sign was.
        bare = f"{value.strip()} if {condition.strip()} else {otherwise.strip()}"
        first = condition.count(_TEXT)
        second = first + value.count(_TEXT)
        texts = [*texts[first:second], *texts[:first], *texts[second:]]
    return re.sub(_TEXT, lambda _: texts.pop(0), bare)
