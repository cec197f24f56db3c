"""What Jinja and Python say of an expression, in the words that templates have for their own parts and types."""

from __future__ import annotations

import re

_SYNTAX = tuple(
    (re.compile(pattern, re.DOTALL), said)
    for pattern, said in (
        (r"unexpected end of template, expected 'end of print.*", "the expression is not closed with }}"),
        (r"Expected an expression, got 'end of print statement'", "there is nothing between ${{ and }}"),
        (
            r"expected token 'end of print[^']*', got ('.*')",
            "{} is not expected here: an operator or }}}} is missing before it",
        ),
        (r"Unexpected end of template\..* needs to be closed is ('\w+')", "the block {} is not closed"),
        (r"Encountered unknown tag ('\w+').*", "there is no block {} to begin or end here"),
        (r"expected name or number", "a name is missing after a dot"),
        (r"No (filter|test) named ('.*')", "there is no {} {}"),
        (r"the inline if-expression on line .*", "its condition is false, and it has no else"),
        (r"No (first|last) item, sequence was empty", "there is no {} item: it is empty"),
        (r"Missing end of (raw|comment) (?:directive|tag)", "the {} is not closed"),
    )
)
_TYPES = tuple(
    (re.compile(pattern), said)
    for pattern, said in (
        (
            r'can only concatenate str \(not "(\w+)"\) to str',
            "a text and {} cannot be added: ~ joins them, as does one text with both in it",
        ),
        (
            r"unsupported operand type\(s\) for (\S+?)=?(?: or pow\(\))?: '(\w+)' and '(\w+)'",
            "{} cannot be used between {} and {}",
        ),
        (r"'(\S+)' not supported between instances of '(\w+)' and '(\w+)'", "{} cannot compare {} with {}"),
        (r"bad operand type for unary (\S): '(\w+)'", "{} cannot be used before {}"),
        (r"'(\w+)' object is not (?:iterable|subscriptable)", "{} has no parts"),
        (r"argument of type '(\w+)' is not (?:iterable|a container or iterable)", "{} has no parts"),
        (r"object of type '(\w+)' has no len\(\)", "{} has no length"),
        (
            r"_?host_\w+\.<locals>\.call\(\) got an unexpected keyword argument '(\w+)'",
            "it takes nothing by name, such as {}",
        ),
        (r"'(\w+)' object is not callable", "{} cannot be called"),
    )
)
_KINDS = {
    "str": "a text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "dict": "an object",
    "NoneType": "null",
}


def syntax_problem(said: str) -> str:
    """Why an expression or a file cannot be read; what has no better words stays as Jinja says it."""
    for pattern, words in _SYNTAX:
        if found := pattern.fullmatch(said):
            return words.format(*found.groups()) if found.groups() else words
    return said


def type_problem(said: str) -> str:
    """What cannot be done with a value of its type; what has no better words stays as it is said."""
    for pattern, words in _TYPES:
        if found := pattern.fullmatch(said):
            return words.format(*(_KINDS.get(name, name) for name in found.groups()))
    return said.rstrip(".")
