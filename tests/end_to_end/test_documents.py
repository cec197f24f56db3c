"""The documents for those who change this project say what is true of it: rules have tests, rooms are drawn, words are used."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from portal_actions_plugin import errors
from portal_actions_plugin.errors import PortalActionsError

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PACKAGE = ROOT / "portal_actions_plugin"
TESTS = ROOT / "tests"

DECISIONS = {
    "database-and-doorbell",
    "no-orm",
    "statements-compiled-once",
    "processes-that-stand-by",
    "waiting-for-sqlite",
    "pages-that-ask",
    "format-of-templates",
}


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text()


def part(text: str, heading: str) -> str:
    """What stands below a heading of the second level."""
    found = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def sections(text: str, level: int) -> dict[str, str]:
    """What stands below each heading of one level, by the heading."""
    parts = re.split(rf"^{'#' * level} (.+)$", text, flags=re.MULTILINE)[1:]
    return {
        heading: re.split(r"^#", below, flags=re.MULTILINE)[0]
        for heading, below in zip(parts[::2], parts[1::2], strict=True)
    }


def names_of_tests() -> Counter[str]:
    """Every test function and method, and how often there is one of that name."""
    return Counter(
        node.name
        for file in TESTS.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


# -- architecture ----------------------------------------------------------------------------------------------------


def test_every_rule_has_a_test_that_exists() -> None:
    rules = sections(part(page("architecture"), "Rules"), 4)
    assert [int(heading.split(" · ")[0]) for heading in rules] == list(range(1, len(rules) + 1))
    assert len(rules) >= 20
    there = names_of_tests()
    for heading, below in rules.items():
        named = re.findall(r"^- `(test_\w+)`$", below, re.MULTILINE)
        assert named, heading
        assert {name: there[name] for name in named} == dict.fromkeys(named, 1), heading


def rooms_as_drawn() -> list[str]:
    return re.findall(r"^\| `([\w/.]+)` \| \S", part(page("architecture"), "Rooms"), re.MULTILINE)


def test_every_room_is_drawn_and_no_other() -> None:
    folders = {f"{file.parent.relative_to(PACKAGE)}/" for file in PACKAGE.rglob("*/__init__.py")}
    modules = {file.name for file in PACKAGE.glob("*.py")} - {"__init__.py"}
    assert Counter(rooms_as_drawn()) == Counter(folders | modules)


def test_rooms_are_drawn_in_the_order_in_which_they_may_import() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    for contract in contracts:
        if contract["type"] != "layers":
            continue
        (container,) = contract["containers"]
        prefix = "/".join([*container.split(".")[1:], ""]) if "." in container else ""
        drawn = [
            room.removeprefix(prefix).removesuffix("/").removesuffix(".py")
            for room in rooms_as_drawn()
            if room.startswith(prefix) and "/" not in room.removeprefix(prefix).removesuffix("/")
        ]
        layer = {
            name.strip(): number for number, line in enumerate(contract["layers"]) for name in re.split(r"[|:]", line)
        }
        numbers = [layer[name] for name in drawn if name in layer]
        assert numbers == sorted(numbers), container


def test_every_module_and_room_that_the_page_names_is_there() -> None:
    figure = re.search(r"```text\n(.*?)```", page("architecture"), re.DOTALL)
    assert figure
    named = set(re.findall(r"\b(?:blueprints|runs|runner|upkeep|storage)/\w+(?:\.py)?", page("architecture")))
    named |= set(re.findall(r"\b(?:runs|runner|blueprints)/\w+", figure[1]))
    assert named
    gone = [name for name in named if not any((PACKAGE / f"{name}{end}").exists() for end in ("", ".py"))]
    assert gone == []


# -- decisions, words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(DECISIONS))
def test_a_decision_says_why_what_follows_and_what_was_measured(name: str) -> None:
    found = list(sections(page(f"decisions/{name}"), 2))
    assert found == ["Context", "Decision", "Consequences", "Measured"]


def test_every_decision_is_on_the_list_and_the_list_on_the_front_page() -> None:
    files = {file.stem for file in (DOCS / "decisions").glob("*.md")} - {"index"}
    assert files == DECISIONS
    listed = re.search(r"```{toctree}.*?\n\n(.*?)```", page("decisions/index"), re.DOTALL)
    assert listed
    assert set(listed[1].split()) == files
    assert {"architecture", "decisions/index", "glossary", "policy", "errors"} <= set(page("index").split())


def words_of_the_glossary() -> list[str]:
    return re.findall(r"^(.+)\n: ", page("glossary"), re.MULTILINE)


def test_every_word_of_the_glossary_is_used_and_stands_in_its_place() -> None:
    words = words_of_the_glossary()
    assert words == sorted(set(words))
    elsewhere = "\n".join(
        [
            *(
                file.read_text()
                for file in [*DOCS.rglob("*.md"), ROOT / "CONTRIBUTING.md"]
                if file.name != "glossary.md"
            ),
            *(file.read_text() for file in PACKAGE.rglob("*.py")),
        ]
    ).lower()
    unused = [word for word in words if len(re.findall(rf"\b{word.replace(' ', '[ _]')}", elsewhere)) < 3]
    assert unused == []


def test_the_glossary_has_the_words_of_the_architecture() -> None:
    words = set(words_of_the_glossary())
    assert words >= {
        "action", "action run", "attempt", "claim", "doorbell", "identity", "lease", "lock key", "namespace", "one-off",
        "pause point", "room", "step", "supervisor", "sweeper", "template", "template run", "worker",
    }  # fmt: skip


# -- errors ----------------------------------------------------------------------------------------------------------


def test_every_error_code_is_on_the_page_of_errors() -> None:
    assert "<!-- errors -->" in page("errors")
    reference = runpy.run_path(str(DOCS / "conf.py"))["error_reference"]()
    documented = re.findall(r"^\| `([A-Z_]+)` \| (\d+) \|", reference, re.MULTILINE)
    classes: list[Any] = [one for one in vars(errors).values() if isinstance(one, type)]
    assert set(documented) == {
        (one.code, str(one.http_status)) for one in classes if issubclass(one, PortalActionsError)
    }
    assert len(documented) == len(set(documented))


# -- the repository's own files --------------------------------------------------------------------------------------


def test_hosted_ci_calls_what_a_commit_has_to_pass_and_may_only_read() -> None:
    github = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    (job,) = github["jobs"].values()
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    assert github["permissions"] == {"contents": "read"}
    assert all(re.search(r"@[0-9a-f]{40}$", step["uses"]) for step in job["steps"] if "uses" in step)
    gitlab = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())
    assert gitlab["run"]["script"] == [".ci/run"]


def test_pre_commit_calls_parts_of_make_lint_and_fetches_nothing() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    lint = re.search(r"^lint: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert lint
    for hook in repository["hooks"]:
        make, target = hook["entry"].split()
        assert (make, hook["language"]) == ("make", "system")
        assert target in lint[1].split()


def test_both_forges_ask_the_same_questions() -> None:
    github, gitlab = ROOT / ".github", ROOT / ".gitlab"
    for name in ("bug", "idea"):
        asked = (github / f"ISSUE_TEMPLATE/{name}.md").read_text()
        assert asked.endswith((gitlab / f"issue_templates/{name}.md").read_text())
    change = (github / "pull_request_template.md").read_text()
    assert change == (gitlab / "merge_request_templates/default.md").read_text()


def test_who_finds_a_weakness_is_told_where_to_say_so() -> None:
    security = (ROOT / "SECURITY.md").read_text()
    assert "public issue" in security
    assert all((ROOT / name).exists() for name in re.findall(r"\]\(([\w/.-]+\.md)\)", security))
    assert "SECURITY.md" in (ROOT / "README.md").read_text()


def test_every_link_of_the_documents_at_the_top_leads_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / name).read_text()):
            assert (ROOT / target).exists(), f"{name}: {target}"


def test_every_file_that_documents_for_developers_name_is_there() -> None:
    documents = [ROOT / "CONTRIBUTING.md", DOCS / "architecture.md", *(DOCS / "decisions").glob("*.md")]
    gone = [
        f"{document.name}: {named}"
        for document in documents
        for named in re.findall(r"`((?:[\w.]+/)+[\w-]+\.\w+|\w+\.py)`", document.read_text())
        if not any((place / named).exists() for place in (ROOT, PACKAGE))
        and ("/" in named or not any(any(place.rglob(named)) for place in (PACKAGE, TESTS)))
    ]
    assert gone == []


def test_the_figure_needs_nothing_from_elsewhere() -> None:
    listed = subprocess.run(["git", "ls-files", "docs"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    for name in listed.split():
        if name.endswith(".md"):
            assert not re.search(r"```\s*{?mermaid|<(?:script|img)[^>]+src=.?https?:", (ROOT / name).read_text()), name
