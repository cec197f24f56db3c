"""Draws curves as SVG: a line for each, both axes by powers of ten."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 760, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 230, 40, 48
_COLOURS = ("#1f5fbf", "#c2410c", "#15803d", "#7e22ce", "#525252", "#0e7490")


@dataclass(frozen=True)
class Line:
    """A curve: its name, its points from left to right, its colour's number, and whether it is dashed."""

    name: str
    points: Mapping[int, float]
    colour: int = 0
    dashed: bool = False


def svg(title: str, across: str, up: str, lines: Sequence[Line]) -> str:
    """Draw lines of positive values; ``across`` and ``up`` name the axes."""
    x = _Axis([at for line in lines for at in line.points], _LEFT, WIDTH - _RIGHT)
    y = _Axis([value for line in lines for value in line.points.values()], HEIGHT - _BOTTOM, _TOP)
    parts = [_text(_LEFT, 22, title, "start", 15)]
    for tick in x.ticks():
        parts += [_grid(x.place(tick), _TOP, x.place(tick), HEIGHT - _BOTTOM)]
        parts += [_text(x.place(tick), HEIGHT - _BOTTOM + 16, _number(tick), "middle")]
    for tick in y.ticks():
        parts += [_grid(_LEFT, y.place(tick), WIDTH - _RIGHT, y.place(tick))]
        parts += [_text(_LEFT - 6, y.place(tick) + 4, _number(tick), "end")]
    parts += [_text((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 10, across, "middle"), _text(4, _TOP - 6, up, "start")]
    for place, line in enumerate(lines):
        parts += _line(line, x, y, _TOP + 12 + 18 * place)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


class _Axis:
    """Places of numbers on a logarithmic axis, from whole power of ten to whole power of ten."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self._first = math.floor(math.log10(max(min(values), 1e-3)))
        self._last = max(math.ceil(math.log10(max(*values, 1e-3))), self._first + 1)
        self._start, self._end = start, end

    def place(self, value: float) -> float:
        part = (math.log10(max(value, 1e-3)) - self._first) / (self._last - self._first)
        return round(self._start + part * (self._end - self._start), 1)

    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self._first, self._last + 1)]


def _line(line: Line, x: _Axis, y: _Axis, legend: float) -> list[str]:
    colour = _COLOURS[line.colour % len(_COLOURS)]
    dash = ' stroke-dasharray="5 4"' if line.dashed else ""
    places = [(x.place(at), y.place(value)) for at, value in sorted(line.points.items())]
    path = " ".join(f"{across},{up}" for across, up in places)
    left = WIDTH - _RIGHT + 12
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>',
        *(f'<circle cx="{across}" cy="{up}" r="3" fill="{colour}"/>' for across, up in places),
        f'<line x1="{left}" y1="{legend - 4}" x2="{left + 22}" y2="{legend - 4}" stroke="{colour}" stroke-width="2"{dash}/>',
        _text(left + 28, legend, line.name, "start"),
    ]


def _grid(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#ddd"/>'


def _text(x: float, y: float, text: str, anchor: str, size: int = 12) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}" fill="#222">{escape(text)}</text>'


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"
