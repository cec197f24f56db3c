"""Lines that would mend a template: each is tried, and only what lets the file load becomes a patch."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from portal_actions_plugin.field_messages import IS_UNKNOWN

if TYPE_CHECKING:
    from portal_actions_plugin.host import TemplateFinding

MAX_LINES = 5
"""Lines of one patch."""
MAX_TRIES = 60
"""Ways of mending one template that are tried."""
SECONDS = 10.0
"""Processor time of mending one template; a try that has begun is not broken off."""
_MAX_LINE = 1_000
"""Characters of a line that is changed."""
_AT_THE_END = "…"
"""Advice that begins so is of what comes behind the expression."""
_BRACES = re.compile(r"^(?P<before>\s*(?:-\s+)?(?:[\w.$'\"-]+:\s+)?)(?P<value>\$?\{\{.*\}\})(?P<after>\s*(?:#.*)?)$")
_MEANT = re.compile(r"(?P<quote>['\"])(?P<name>[\w@.-]+)\1.*did you mean ['\"]?(?P<near>[\w@.-]+)")
_REQUIRED_FLOW = re.compile(r"^(?P<before>\s*(?:- )?required:\s*)\[(?P<names>.*)\](?P<after>\s*(?:#.*)?)$")
_REQUIRED_BLOCK = re.compile(r"^\s*(?:- )?required:\s*(?P<end>\r?)$")
_PROPERTIES = re.compile(r"^(?P<before>\s*(?:- )?)properties:\s*(?P<end>\r?)$")

Score = tuple[int, int, int]
"""How many problems a text has, optional parameters whose absence fails a step, and warnings; less is better."""


@dataclass(frozen=True, slots=True)
class Mended:
    """A file's text with some lines changed.

    Attributes:
        text: the whole.
        lines: how many lines were changed or taken away.
    """

    text: str
    lines: int


Judge = Callable[[str], tuple[Iterable[Mended], Score]]
"""Says how good a text is, and what it may become, each way with the number of lines that it takes."""


def mend(text: str, judge: Judge) -> Mended:
    """Change line after line, as long as each leaves fewer problems and no new warning.

    Args:
        text: of the file.
        judge: of any text.
    """
    mended = Mended(text, 0)
    tries = 0
    began = time.thread_time()
    ways, score = judge(text)
    while mended.lines < MAX_LINES:
        for way in ways:
            tries += 1
            if tries > MAX_TRIES or time.thread_time() - began > SECONDS:
                return mended
            further, better = judge(way.text)
            if better[:2] < score[:2] and better[2] <= score[2] and mended.lines + way.lines <= MAX_LINES:
                mended, ways, score = Mended(way.text, mended.lines + way.lines), further, better
                break
        else:
            break
    return mended


def patch(path: str, before: str, after: str) -> str:
    """A unified diff that ``git apply`` takes; empty where nothing differs.

    Args:
        path: the file's, below the folder that the patch is for.
        before: its text.
        after: the text that it becomes.
    """
    old, new = (re.findall(r"[^\n]*\n|[^\n]+$", text) for text in (before, after))
    names = (_quoted(f"a/{path}"), _quoted(f"b/{path}"))
    lines = difflib.unified_diff(old, new, *names)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _quoted(name: str) -> str:
    """A file's name as git writes it: in quotes where it has more than plain characters."""
    if re.fullmatch(r"[!#-\[\]-~]+", name):
        return name
    if re.fullmatch(r"[ !#-\[\]-~]+", name):
        return f"{name}\t"
    plain = "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in name.encode())
    return f'"{plain}"'


def ways(text: str, findings: Iterable[TemplateFinding]) -> Iterator[Mended]:
    """What a text may become, by what was found in it: one line each.

    Args:
        text: of the file.
        findings: in that file.
    """
    lines = text.split("\n")
    for finding in findings:
        index = finding.line - 1
        is_short = 0 <= index < len(lines) and len(lines[index]) <= _MAX_LINE
        for changed in _changes(lines[index], finding) if is_short else ():
            yield Mended("\n".join([*lines[:index], *changed, *lines[index + 1 :]]), 1)


def with_default(text: str, name: str, default: str) -> Iterator[Mended]:
    """A text where a parameter has a value in expressions when it was not given: in one line, then in all.

    Args:
        text: of the file.
        name: the parameter's.
        default: as an expression has it, such as ``''``.
    """
    named = re.compile(
        rf"parameters(?:\.{re.escape(name)}(?![\w-])|\[(['\"]){re.escape(name)}\1\])(?!\s*\|)(?P<more>[.(\[])?"
    )

    lines = text.split("\n")
    found = [
        index for index, line in enumerate(lines) if "${{" in line[:_MAX_LINE] and named.search(line, 0, _MAX_LINE)
    ]
    spellings = dict.fromkeys((default, _doubled(default)))
    for chosen in [[index] for index in found] + ([found] if len(found) > 1 else []):
        for spelled in spellings:
            filled = partial(_filled, spelled)
            changed = [named.sub(filled, line) if index in chosen else line for index, line in enumerate(lines)]
            yield Mended("\n".join(changed), len(chosen))


def _filled(default: str, match: re.Match[str]) -> str:
    more = match["more"] or ""
    value = f"{match[0].removesuffix(more)} | default({default})"
    return f"({value}){more}" if more else value


def as_required(text: str, name: str) -> Iterator[Mended]:
    """A text where a parameter is asked for: named in a ``required`` that is there, or in a new one.

    Args:
        text: of the file.
        name: the parameter's.
    """
    lines = text.split("\n")
    for index, line in enumerate(lines):
        if len(line) > _MAX_LINE:
            continue
        if (flow := _REQUIRED_FLOW.match(line)) and "]" not in flow["names"]:
            names = f"{flow['names'].rstrip()}, {name}" if flow["names"].strip() else name
            changed = [f"{flow['before']}[{names}]{flow['after']}"]
        elif (block := _REQUIRED_BLOCK.match(line)) and (item := _item_after(lines, index)) is not None:
            changed = [line, f"{item}- {name}{block['end']}"]
        elif properties := _PROPERTIES.match(line):
            before = properties["before"]
            changed = [f"{before}required: [{name}]{properties['end']}", f"{' ' * len(before)}{line[len(before) :]}"]
        else:
            continue
        yield Mended("\n".join([*lines[:index], *changed, *lines[index + 1 :]]), 1)


def _item_after(lines: Sequence[str], index: int) -> str | None:
    """How far the items of a list are set in that begins after a line; None where none does."""
    item = re.match(r"(\s*)- ", lines[index + 1]) if index + 1 < len(lines) else None
    return item[1] if item else None


def _changes(line: str, finding: TemplateFinding) -> Iterator[list[str]]:
    """What a line may become; nothing where it goes."""
    end = "\r" if line.endswith("\r") else ""
    line = line.removesuffix("\r")
    for changed in _rewritten(line, finding):
        if changed != line:
            yield [f"{changed}{end}"]
    if "there twice" in finding.message:
        yield []


def _rewritten(line: str, finding: TemplateFinding) -> Iterator[str]:
    value = finding.value
    if value and finding.write and line.count(value) == 1:
        for instead in _instead(value, finding.write):
            yield from (line.replace(value, spelled) for spelled in _spellings(instead))
    if (meant := _MEANT.search(finding.message)) and (value or meant["name"]) in line:
        yield re.sub(rf"(?<![\w-]){re.escape(meant['name'])}(?![\w-])", meant["near"], line)
    if finding.write and finding.message.endswith(IS_UNKNOWN):
        key = re.escape(finding.key.rpartition(".")[2])
        yield re.sub(rf"(?<![\w-]){key}(?=['\"]?\s*:)", finding.write.replace("\\", r"\\"), line, count=1)
    if braces := _BRACES.match(line):
        yield f"{braces['before']}'{_doubled(braces['value'])}'{braces['after']}"


def _instead(value: str, write: str) -> Iterator[str]:
    """What comes in place of a value: of an expression the whole, also where the advice is of a part of it."""
    if "${{" not in value or "${{" in write:
        yield write
    elif write.startswith(_AT_THE_END):
        yield re.sub(r"\s*\}\}$", lambda _end: f"{write.removeprefix(_AT_THE_END)} }}}}", value)
    elif (part := _part(write)) is not None:
        outside = re.compile(rf"{part}|'[^']*'|\"[^\"]*\"")
        yield outside.sub(lambda found: found[0] if found[0][0] in "'\"" else write, value)


def _part(write: str) -> str | None:
    """The pattern of the part of an expression that some advice is of; None where it is of none that could be found."""
    if secret := re.fullmatch(r"secrets\.(?P<name>[\w-]+)", write):
        return _member("parameters", secret["name"])
    if with_default := re.fullmatch(r"\((?P<used>[^()|]+) \| default\(.*\)\)", write):
        return rf"(?<![\w.]){re.escape(with_default['used'])}(?![\w.\[(-])(?!\s*\|\s*default\b)"
    if function := re.fullmatch(r"(?P<name>\w+)\(\)", write):
        return rf"(?<![\w.]){function['name']}(?!\s*\()(?!\w)"
    return None


def _member(of: str, name: str) -> str:
    return rf"(?<![\w.]){of}(?:\.{re.escape(name)}(?![\w-])|\[(?P<quote>['\"]){re.escape(name)}(?P=quote)\])"


def _spellings(text: str) -> Iterable[str]:
    """A text as YAML may have it where it comes: as it is, within quotes of each kind, or with quotes of its own."""
    return dict.fromkeys((text, _doubled(text), text.replace('"', '\\"'), f"'{_doubled(text)}'"))


def _doubled(text: str) -> str:
    return text.replace("'", "''")
