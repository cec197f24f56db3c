"""What actions on files do otherwise than at home in both readings."""

from __future__ import annotations

from typing import Final

from portal_actions_plugin.software_templates.differences.difference import Difference, Kind

OF_FILES: Final = (
    Difference(
        name="names-in-files",
        written="a name at the top level of a file of `fetch:template` that nobody knows",
        at_home="is nothing",
        backstage="is nothing, and a warning names file and line",
        ours="",
        why="`${{ github.ref }}` was meant for somebody else.",
        examples=("ref: ${{ github.ref }}",),
        kind=Kind.DOCUMENT,
    ),
    Difference(
        name="paths-of-outputs",
        written="`path` and `fullPath` in outputs of `fs:readdir` and `roadiehq:utils:…`",
        at_home="are absolute paths on the machine that ran the step",
        backstage="are below the workspace",
        ours="",
        why="The next step may run on another machine.",
        examples=("path: ${{ steps.write.output.path }}",),
        kind=Kind.DOCUMENT,
    ),
    Difference(
        name="comments-in-yaml",
        written="`preserveYamlComments` of `roadiehq:utils:merge`",
        at_home="keeps comments",
        backstage="comments are lost, with a warning",
        ours="",
        why="Data alone is read and written.",
        examples=("preserveYamlComments: true",),
        kind=Kind.DOCUMENT,
    ),
    Difference(
        name="links-in-trees",
        written="a link in a fetched folder that leads out of the workspace",
        at_home="is copied",
        backstage="is left out, with a warning",
        ours="",
        why="It would lead to files of the worker.",
        examples=("url: ./skeleton",),
        kind=Kind.DOCUMENT,
    ),
)
