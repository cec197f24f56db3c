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
        name="hidden-values",
        written="a value of a field that the form does not show with these answers",
        at_home="is sent along, and reaches the steps",
        backstage="is dropped",
        ours="is refused by name",
        why="Somebody chose otherwise since they typed it.",
        examples=("oneOf: [{properties: {host: {const: github}, team: {type: string}}}]",),
        kind=Kind.DOCUMENT,
    ),
    Difference(
        name="not-yet",
        written="`each` of a step",
        at_home="repeats the step",
        backstage="a problem: not supported yet",
        ours="",
        why="It is being built.",
        examples=("each: ${{ parameters.list }}",),
        kind=Kind.DOCUMENT,
    ),
    Difference(
        name="failed-steps",
        written="`steps.<id>` of a step that has failed, in one that runs after that",
        at_home="is undefined",
        backstage="has a `status`, `failed`, and no `output`",
        ours="",
        why="What cleans up has to know what there is to clean up.",
        examples=("if: ${{ failure() and steps.create.status == 'failed' }}",),
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
    Difference(
        name="output-of-failed-runs",
        written="`failure()` or `always()` in the `if` of a link or a text of `spec.output`",
        at_home="a run that failed gives nothing",
        backstage="a run that failed gives those, and nothing else",
        ours="",
        why="Who has to clean up, and whom to ask, is wanted most after a failure.",
        examples=("output: {links: [{title: Ask, url: /help, if: '${{ failure() }}'}]}",),
        kind=Kind.DOCUMENT,
    ),
    Difference(
        name="output-without-value",
        written="a link of `spec.output` without an address; a text without content",
        at_home="is in the run's output, and no page shows it; of a text, its title",
        backstage="is left out, with a line in the worker's log",
        ours="",
        why="It leads nowhere.",
        examples=("output: {links: [{title: Ask, url: '${{ missing }}'}]}",),
        kind=Kind.DOCUMENT,
    ),
)
