"""What the package says of itself is there, and what is there is documented."""

from __future__ import annotations

import dataclasses
import pkgutil
import re
import runpy
import subprocess
from importlib.metadata import distribution, entry_points
from pathlib import Path

import click
import pytest
import yaml
from blinker import NamedSignal

from portal_actions_plugin import PortalActions, plugin, signals
from portal_actions_plugin.actions.context import ActionContext
from portal_actions_plugin.actions.registry import Registry
from portal_actions_plugin.cli import actions as commands
from portal_actions_plugin.errors import ActionError
from portal_actions_plugin.host import PERMISSIONS, Hooks
from portal_actions_plugin.scm.opening import Opening
from portal_actions_plugin.settings.config import SETTINGS
from portal_actions_plugin.settings.installations import token_variable
from portal_actions_plugin.settings.values import PREFIX
from portal_actions_plugin.software_templates.expressions.filters import FILTERS
from portal_actions_plugin.software_templates.loader import FolderTemplateSource
from tests.support.portal import create_app

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PACKAGE = distribution("portal-actions-plugin")


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text()


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


# -- metadata --------------------------------------------------------------------------------------------------------


def test_a_host_finds_the_plugin_and_its_commands_through_entry_points() -> None:
    (found,) = (point.load() for point in entry_points(group="portal.plugins") if point.name == "actions")
    assert found is plugin
    (found,) = (point.load() for point in entry_points(group="flask.commands") if point.name == "actions")
    assert found is commands


def test_every_module_with_actions_has_its_entry_point() -> None:
    registered = {point.value for point in entry_points(group="portal_actions.actions")}
    declaring = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in (ROOT / "portal_actions_plugin" / "actions").rglob("*.py")
        if "\n@action(" in file.read_text()
    }
    assert declaring == {module for module in registered if module.startswith("portal_actions_plugin.")}


def test_the_metadata_names_licence_python_and_types() -> None:
    assert PACKAGE.metadata["Requires-Python"] == ">=3.11"
    assert "Apache" in (PACKAGE.metadata["License"] or PACKAGE.metadata["License-Expression"])
    assert "Typing :: Typed" in PACKAGE.metadata.get_all("Classifier", [])
    assert (ROOT / "portal_actions_plugin" / "py.typed").exists()


def test_the_changelog_has_this_version() -> None:
    assert f"\n## [{PACKAGE.version}]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_readme_names_the_commands_to_begin_with(command: str) -> None:
    assert command in (ROOT / "README.md").read_text()


def test_every_command_that_make_offers_is_documented() -> None:
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    assert [name for name in targets[1].split() if f"make {name}" not in contributing] == ["help", "clean"]


# -- documentation ---------------------------------------------------------------------------------------------------


def test_every_setting_is_on_the_settings_page() -> None:
    assert "<!-- settings -->" in page("settings")
    reference = runpy.run_path(str(DOCS / "conf.py"))["settings_reference"]()
    assert re.findall(r"^## `(\w+)`$", reference, re.MULTILINE) == [PREFIX + setting.name for setting in SETTINGS]
    assert all(setting.doc in reference for setting in SETTINGS)


def test_every_setting_that_a_page_names_exists() -> None:
    known = {PREFIX + setting.name for setting in SETTINGS} | set(map(token_variable, ("github", "gitlab")))
    for file in [*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"]:
        assert set(re.findall(rf"{PREFIX}[A-Z_]+", file.read_text())) <= known, file.name


def test_every_hook_is_documented() -> None:
    for hook in dataclasses.fields(Hooks):
        assert callable(getattr(PortalActions, hook.name))
        assert f"\n| `{hook.name}` |" in page("host-checklist")


def test_every_permission_is_documented() -> None:
    assert all(f"\n| `{permission}` |" in page("host-checklist") for permission in PERMISSIONS)


def test_every_signal_is_documented() -> None:
    names = [name for name, value in vars(signals).items() if isinstance(value, NamedSignal)]
    assert len(names) >= 7
    assert [name for name in names if f"\n| `{name}` |" not in page("signals")] == []


def test_every_command_is_documented() -> None:
    def full_names(group: click.Group, prefix: str) -> list[str]:
        return [
            name
            for key, command in group.commands.items()
            for name in (
                full_names(command, f"{prefix} {key}") if isinstance(command, click.Group) else [f"{prefix} {key}"]
            )
        ]

    names = full_names(commands, "flask actions")
    assert len(names) >= 9
    assert [name for name in names if not re.search(rf"^\| `{name}[` ]", page("commands"), re.MULTILINE)] == []


def test_every_api_operation_is_documented_and_no_other(tmp_path: Path) -> None:
    app = create_app(INSTANCE_PATH=str(tmp_path))
    paths = app.test_client().get("/api/v1/openapi.json").json["paths"]
    operations = {
        (method.upper(), path) for path, item in paths.items() for method in item if method in ("get", "post")
    }
    documented = set(re.findall(r"^\| `(GET|POST) ([^`]+)` \|", page("http-api"), re.MULTILINE))
    assert documented == operations


def test_every_built_in_action_is_documented() -> None:
    ids = [action.id for action in Registry.from_entry_points()]
    documented = re.findall(r"^\| `([\w.]+@v\d+)` \|", page("writing-actions"), re.MULTILINE)
    assert sorted(documented) == [action_id for action_id in ids if "@" in action_id]


def test_every_field_of_a_built_in_action_is_on_the_page_of_actions_and_says_what_it_is() -> None:
    assert "<!-- actions -->" in page("actions")
    reference = runpy.run_path(str(DOCS / "conf.py"))["action_reference"]()
    sections = dict(zip(*[iter(re.split(r"^## `(.*)`$", reference, flags=re.MULTILINE)[1:])] * 2, strict=True))
    assert list(sections) == [action.id for action in Registry.from_entry_points()]
    for action in Registry.from_entry_points():
        declared = [field.data_key or name for name, field in action.input().fields.items()]
        assert set(declared) <= set(re.findall(r"^\| `(\w+)` \|", sections[action.id], re.MULTILINE))
        assert not re.search(r"\|  \|$", sections[action.id], re.MULTILINE), action.id


def test_the_example_of_every_built_in_action_is_one_that_it_takes() -> None:
    conf = runpy.run_path(str(DOCS / "conf.py"))
    blocks = re.findall(r"^```yaml\n(.*?)^```$", conf["action_reference"](), flags=re.MULTILINE | re.DOTALL)
    steps = [step for block in blocks for step in yaml.safe_load(block)]
    actions = list(Registry.from_entry_points())
    assert [step["action"] for step in steps] == [action.id for action in actions]
    for action, step in zip(actions, steps, strict=True):
        assert step["input"], action.id
        action.load_input(step["input"])


def test_every_part_of_ctx_that_the_docs_name_exists() -> None:
    named = set(re.findall(r"`ctx\.(\w+)", page("writing-actions")))
    assert named
    assert [name for name in named if not hasattr(ActionContext, name)] == []


def test_every_error_that_the_docs_name_exists() -> None:
    rows = re.findall(r"^\| `(\w+Error)` \| `(\w+)` \|", page("writing-actions"), re.MULTILINE)
    known = {error.__name__: error.code for error in ActionError.__subclasses__()}
    assert rows
    assert [row for row in rows if known.get(row[0]) != row[1]] == []


def test_every_filter_that_the_docs_name_exists() -> None:
    (line,) = re.findall(r"^Filters of the format are .*$", page("writing-templates"), re.MULTILINE)
    (more,) = re.findall(r"^Jinja's plain ones .*$", page("writing-templates"), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", line + more)) <= set(FILTERS)


def test_the_template_of_the_docs_can_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(code_blocks(page("writing-templates"), "yaml")[0])
    listing = FolderTemplateSource([tmp_path], Registry.from_entry_points()).list()
    assert listing.problems == ()
    assert [template.name for template in listing.templates] == ["create-service"]


def test_the_action_of_the_docs_can_be_declared() -> None:
    module: dict[str, object] = {}
    exec(code_blocks(page("writing-actions"), "python")[0], module)
    assert getattr(module["send_message"], "id", None) == "chat.sendMessage@v1"


def test_every_part_that_the_page_of_providers_names_exists() -> None:
    text = page("writing-providers")
    parts = re.findall(r"`(portal_actions_plugin\.[\w.]+)`", text)
    assert len(parts) > 10
    for part in parts:
        pkgutil.resolve_name(part)
    opening = {field.name for field in dataclasses.fields(Opening)}
    (table,) = re.findall(r"\| of the `Opening` \|.*?\n\n", text, re.DOTALL)
    named = {name for row in table.strip().splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == opening - {"local_root", "local_url"}  # for the forge on a disk alone


def test_what_the_page_of_providers_shows_is_the_package_that_a_test_installs() -> None:
    shown = re.findall(r"^```{literalinclude} (\S+)$", page("writing-providers"), re.MULTILINE)
    assert {Path(file).name for file in shown} == {
        "setup.cfg",
        "pocket_forge.py",
        "test_pocket_forge.py",
        "conftest.py",
    }
    assert all((DOCS / file).is_file() for file in shown)


# -- the repository --------------------------------------------------------------------------------------------------


def test_no_file_names_a_path_of_one_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [rb"/(home|Users)/[a-z]\w+/"]
    if len(ROOT.parts) > 2:  # a checkout in /app or /src says nothing
        paths.append(re.escape(str(ROOT)).encode())
    somewhere = re.compile(b"|".join(paths))
    guilty = []
    for name in filter(None, listed.stdout.decode().split("\0")):
        file = ROOT / name
        content = file.read_bytes() if file.is_file() else b""
        if somewhere.search(content):
            guilty.append(name)
    assert guilty == []


def test_what_hosts_imported_from_a_module_that_has_moved_is_still_there_with_a_warning() -> None:
    from portal_actions_plugin import migrations
    from portal_actions_plugin.storage.migrations import include_name

    with pytest.warns(DeprecationWarning, match=r"portal_actions_plugin\.storage\.migrations"):
        assert migrations.include_name is include_name
    with pytest.raises(AttributeError, match="standing"):
        _ = migrations.standing


def test_what_is_read_of_runs_is_still_found_where_it_was_with_a_warning() -> None:
    from portal_actions_plugin import host, run_types

    for name in sorted(host._MOVED):
        with pytest.warns(DeprecationWarning, match=rf"Import {name} from portal_actions_plugin\.run_types"):
            assert getattr(host, name) is getattr(run_types, name)
    with pytest.raises(AttributeError, match="nobody"):
        _ = host.nobody
