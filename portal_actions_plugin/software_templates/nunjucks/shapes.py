"""What of an expression is put together otherwise than it is written."""

from __future__ import annotations

from portal_actions_plugin.software_templates.nunjucks import syntax

_ARITHMETIC = ("+", "-", "~", "*", "/", "%")

Operations = list[tuple[str, syntax.Expression]]
"""Operators with their right operands, from left to right."""


def negated(value: syntax.Expression) -> syntax.Expression:
    """``not a == b`` is ``(not a) == b``: what computes or compares is negated at its first operand only."""
    if isinstance(value, syntax.Binary) and value.operator in _ARITHMETIC:
        return syntax.Binary(value.operator, negated(value.left), value.right)
    if isinstance(value, syntax.Comparison):
        return syntax.Comparison(negated(value.first), value.rest)
    return syntax.Unary("not", value)


def tested(value: syntax.Expression, test: syntax.Expression) -> syntax.Tested:
    """What is no name asks whether the value is undefined, at home."""
    arguments = syntax.Arguments()
    if isinstance(test, syntax.Call):
        arguments = test.arguments
        test = test.target
    elif isinstance(test, syntax.Filtered):
        given = (test.value, *test.arguments.positional)
        return syntax.Tested(value, test.name, syntax.Arguments(given, test.arguments.keyword))
    if isinstance(test, syntax.Name):
        return syntax.Tested(value, test.name, arguments)
    if isinstance(test, syntax.Literal):
        return syntax.Tested(value, "null" if test.value is None else str(test.value).lower(), arguments)
    return syntax.Tested(value, "undefined", arguments)


def from_left(first: syntax.Expression, operations: Operations) -> syntax.Expression:
    for operator, right in operations:
        first = syntax.Binary(operator, first, right)
    return first
