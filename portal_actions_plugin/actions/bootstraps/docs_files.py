"""The first page of a documentation."""

from __future__ import annotations

from portal_actions_plugin.actions.bootstraps.yaml_text import yaml_text
from portal_actions_plugin.scm.base import FileChange

FORMATS = ("mkdocs", "markdown")


def documentation(name: str, folder: str, kind: str) -> list[FileChange]:
    """The files of a documentation; the first one is its home.

    Args:
        name: of what is documented.
        folder: where its pages lie, relative to the top of the repository.
        kind: one of ``FORMATS``.
    """
    page = _page(name).encode()
    if kind == "markdown":
        return [FileChange(f"{folder}/README.md", page)]
    site = {"site_name": name, "docs_dir": folder, "nav": [{"Home": "index.md"}]}
    return [FileChange(f"{folder}/index.md", page), FileChange("mkdocs.yml", yaml_text(site).encode())]


def _page(name: str) -> str:
    return f"""\
# {name}

What {name} does, and for whom.

## Use it

How somebody begins.

## Change it

How it is built, tested and released.

## Run it

Where it runs, what it needs, and what to look at when something is wrong.
"""
