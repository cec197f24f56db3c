"""The commands of who writes templates: what is wrong with a file, and what a repository of templates needs here."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from flask.cli import NoAppException, ScriptInfo

from portal_actions_plugin.cli.terminal import say
from portal_actions_plugin.errors import PortalActionsError
from portal_actions_plugin.extension import of_app
from portal_actions_plugin.host import Severity, TemplateFinding

if TYPE_CHECKING:
    from portal_actions_plugin.software_templates.findings import Checked
    from portal_actions_plugin.software_templates.trial.report import Portal, Report

_APP_FILES = ("wsgi.py", "app.py")
_FORMATS = ("text", "json", "github")


@click.command("lint")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE…")
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@click.option("--format", "form", default="text", show_default=True, type=click.Choice(_FORMATS), help="How to tell.")
@click.pass_context
def lint(context: click.Context, paths: tuple[Path, ...], strict: bool, form: str) -> None:  # noqa: FBT001 click hands it over
    """Say what is wrong with the templates in files and folders. Needs neither database nor Redis.

    Exits with 0 when all can be used, 1 on problems (with --strict on warnings too), 2 when there is nothing to judge.
    """
    from portal_actions_plugin.cli import template_words as words

    number, findings = _linted(paths, _portal(context))
    counted = Counter(found.severity for found in findings)
    if form == "json":
        say(json.dumps({"templates": number, "findings": [words.as_json(found) for found in findings]}))
    elif form == "github":
        say(*map(words.workflow_command, findings))
    else:
        say(*map(words.line, findings))
        say(words.summary(number, counted[Severity.PROBLEM], counted[Severity.WARNING]))
    failed = counted[Severity.PROBLEM] or (strict and counted[Severity.WARNING])
    raise SystemExit(1 if failed else 0)


@click.command("try")
@click.argument("place", metavar="FOLDER|REPOSITORY")
@click.option("--ref", help="The branch or tag of a repository. Default: its default branch.")
@click.option(
    "--format", "form", default="text", show_default=True, type=click.Choice(_FORMATS[:2]), help="How to tell."
)
@click.option(
    "--patch",
    "patch_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what git apply takes to a file.",
)
@click.pass_context
def try_templates(context: click.Context, place: str, ref: str | None, form: str, patch_file: Path | None) -> None:
    """Say which templates of a folder or a git repository run today, and what the others need.

    No step is run. Exits with 0 when all run as they are, 1 when any needs something, 2 when there is nothing to judge.
    """
    from portal_actions_plugin.software_templates.trial.files import TooManyFilesError
    from portal_actions_plugin.software_templates.trial.report import try_folder

    portal, folders = _portal(context)
    with _folder(place, ref) as folder, _quiet():
        try:
            report = try_folder(folder, portal, _root(folder, folders))
        except TooManyFilesError as error:
            raise click.UsageError(str(error)) from None
    if not report.templates and not report.problems:
        raise click.UsageError(f"There is no template in {place}.")
    if patch_file:
        text = "".join(one.patch for one in report.templates)
        patch_file.write_bytes(text.encode(errors="surrogateescape"))
    _tell(report, form)
    raise SystemExit(0 if report.all_run else 1)


COMMANDS = (lint, try_templates)


# -- helpers ---------------------------------------------------------------------------------------------------------


def _portal(context: click.Context) -> tuple[Portal, Sequence[Path]]:
    """What templates are judged by, and the template folders: the portal's; without one, the actions that are installed."""
    from portal_actions_plugin.actions.forge_abilities import ForgeAbilities
    from portal_actions_plugin.actions.registry import Registry
    from portal_actions_plugin.software_templates.trial.report import Portal

    script = context.ensure_object(ScriptInfo)
    try:
        app = script.load_app()
        parts = of_app(app)
    except NoAppException:
        if script.app_import_path or any(Path(name).exists() for name in _APP_FILES):
            raise
        return Portal(Registry.from_entry_points()), ()
    context.with_resource(app.app_context())  # expressions may call what the host gives
    abilities = ForgeAbilities(parts.registry, parts.provider_kinds, parts.config.scm)
    return Portal(parts.registry, abilities, parts.config.yaml_merge), parts.config.template_path


def _linted(paths: Iterable[Path], judged: tuple[Portal, Sequence[Path]]) -> tuple[int, list[TemplateFinding]]:
    """How many templates there are, and all findings, by file and line; paths are shown below the working directory."""
    from portal_actions_plugin.software_templates.loader import taken
    from portal_actions_plugin.software_templates.missing_actions import counted
    from portal_actions_plugin.software_templates.sources.locations import Expansion

    portal, folders = judged
    findings: list[TemplateFinding] = []
    having: dict[str, list[tuple[Path, Checked]]] = {}
    number = 0
    for file, root in _files(paths, folders):
        reader = portal.reader((root,))
        loaded = reader.read(file, root)
        findings.extend((*loaded.problems, *reader.follow(file, loaded, Expansion(root))[1]))
        for checked in loaded.checked:
            number += 1
            findings.extend((*checked.problems, *checked.warnings))
            having.setdefault(checked.name, []).append((file, checked))
    for others in having.values():
        findings.extend(taken(others, _shown) if len(others) > 1 else ())
    shown = [replace(found, file=_shown(Path(found.path or found.file))) for found in counted(findings)]
    if not number and not shown:
        raise click.UsageError(f"There is no template in {' '.join(map(str, paths))}.")
    return number, sorted(shown, key=lambda found: (found.file, found.line, found.key))


def _files(paths: Iterable[Path], folders: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Each file that holds templates, once, with the folder that it may name files of."""
    from portal_actions_plugin.software_templates.trial.files import TooManyFilesError, holds_template, template_files

    seen: set[Path] = set()
    for path in paths:
        whole = Path(os.path.abspath(path))  # noqa: PTH100 a link stays what it is
        if not whole.exists():
            raise click.UsageError(f"There is no file or folder {path}.")
        try:
            found = template_files(whole) if whole.is_dir() else [whole] if holds_template(whole) else []
        except TooManyFilesError as error:
            raise click.UsageError(str(error)) from None
        root = _root(whole, folders)
        yield from ((file, root) for file in found if file not in seen)
        seen.update(found)


def _root(path: Path, folders: Sequence[Path]) -> Path:
    """The template folder or the repository that a path is in, else its own folder."""
    own = path if path.is_dir() else path.parent
    for folder in folders:
        if own.is_relative_to(folder):
            return folder
    return next((above for above in (own, *own.parents) if (above / ".git").exists()), own)


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


@contextmanager
def _folder(place: str, ref: str | None) -> Iterator[Path]:
    """The folder that is to be tried: the one that is named, or a copy of the repository for as long as it takes."""
    if "://" not in place and not place.startswith("git@"):
        folder = Path(os.path.abspath(place))  # noqa: PTH100 as above
        if not folder.is_dir() or ref:
            raise click.UsageError(
                f"There is no folder {place}." if not folder.is_dir() else "--ref is for repositories."
            )
        yield folder
        return
    from portal_actions_plugin.scm.clone import clone

    with tempfile.TemporaryDirectory(prefix="portal-actions-try-") as temporary:
        try:
            clone(place, ref, Path(temporary))
        except PortalActionsError as error:
            raise click.UsageError(f"{error.message}\n  → {error.hint}" if error.hint else error.message) from None
        yield Path(temporary)


@contextmanager
def _quiet() -> Iterator[None]:
    """Log nothing of expressions that fail on made-up values: what counts of it is in the report."""
    logger = logging.getLogger("portal_actions_plugin.software_templates")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _tell(report: Report, form: str) -> None:
    from portal_actions_plugin.cli import template_words as words

    if form == "json":
        say(json.dumps(words.report_as_json(report)))
    else:
        say(*words.report_lines(report))
