"""What steps, conditions and inputs do otherwise than at home in both readings."""

from __future__ import annotations

from typing import Final

from portal_actions_plugin.software_templates.differences.difference import Difference, Kind

OF_DOCUMENTS: Final = (
    Difference(
        name="if-that-cannot-be-read",
        written="an `if` that cannot be read, or fails",
        at_home="is a text, and so true: its step always runs",
        backstage="a problem when the template is loaded, or the end of its run",
        ours="",
        why="A step that should not have run cannot be undone.",
        examples=("if: ${{ parameters.a ? 'b' : 'c' }}",),
        kind=Kind.DOCUMENT,
    ),
    Difference(
        name="not-yet",
        written="`each` of a step; `always()` and `failure()` in an `if`",
        at_home="repeat a step; let it run after a failure",
        backstage="a problem: not supported yet",
        ours="",
        why="They are being built.",
        examples=("each: ${{ parameters.list }}", "if: ${{ always() }}"),
        kind=Kind.DOCUMENT,
    ),
    Difference(
        name="skeleton-files",
        written="a file of a skeleton that `scm.pushSkeleton@v1` pushes",
        at_home="an unknown name in a file of `fetch:template` is nothing",
        backstage="fails its step, and names file and line",
        ours="",
        why="A file with a hole is found when it is too late.",
        examples=("skeleton: ./skeleton",),
        kind=Kind.DOCUMENT,
    ),
)
