"""The list of what is different from Backstage's scaffolder: everything on it can be shown, and the docs are made of it."""

from __future__ import annotations

import runpy
import textwrap
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portal_actions_plugin.actions.backstage.gitlab_projects import gitlab_project_variable, gitlab_repo_push
from portal_actions_plugin.actions.backstage.http_request import http_backstage_request
from portal_actions_plugin.actions.backstage.publish_github import github_repo_push, publish_github
from portal_actions_plugin.actions.backstage.publish_gitlab import publish_gitlab
from portal_actions_plugin.actions.backstage.pull_requests import github_pull_request, gitlab_merge_request
from portal_actions_plugin.actions.context import RunInfo
from portal_actions_plugin.actions.files import roadie, sources
from portal_actions_plugin.actions.files.fetch import fetch_plain, fetch_template
from portal_actions_plugin.actions.files.filesystem import readdir
from portal_actions_plugin.actions.files.merging import merge
from portal_actions_plugin.actions.http_calls import call
from portal_actions_plugin.errors import ConflictError, ValidationError
from portal_actions_plugin.host import Severity, SkeletonFile, TemplateFinding
from portal_actions_plugin.http_client.guard import HttpRules
from portal_actions_plugin.runner.attempt.forges import author_of
from portal_actions_plugin.scm.base import Author, Protection, RepoFile, RepoRef
from portal_actions_plugin.scm.github.setup import protection
from portal_actions_plugin.software_templates.differences import DIFFERENCES, Difference, Kind
from portal_actions_plugin.software_templates.expressions.rendering import ExpressionError, render_file
from portal_actions_plugin.software_templates.items import Item, Known, ListError, work_out
from portal_actions_plugin.software_templates.loader import FolderTemplateSource
from portal_actions_plugin.software_templates.outputs.rendering import render_output, render_output_after_failure
from portal_actions_plugin.software_templates.parameters.inputs import InputCheck
from portal_actions_plugin.software_templates.parameters.schemas import merge_pages
from portal_actions_plugin.software_templates.readings import Reading
from portal_actions_plugin.software_templates.spec import Step, Template
from portal_actions_plugin.software_templates.step_rendering import next_step, next_step_after_failure, step_context
from tests.oracle.comparing import as_input
from tests.oracle.recorded import table
from tests.support.action_helpers import make_context
from tests.support.differences import shown, shows

DOCS = Path(__file__).parent.parent.parent / "docs"
OF_VALUES = [one for one in DIFFERENCES if one.kind is Kind.VALUE]
AT_HOME = {repr(row["render"]["a"]): row["answer"] for row in table("differences")}

DOCUMENT = """\
apiVersion: {version}
kind: Template
metadata: {{name: t}}
spec:
  parameters:
    properties:
      flag: {{type: boolean}}
  steps:
    - {{id: s, action: debug.log@v1, input: {{message: a}}}}
{more}"""


def of_values(*, wanted: Callable[[Difference], bool]) -> list[Any]:
    return [pytest.param(one, example, id=f"{one.name}: {example!r}") for one in OF_VALUES if wanted(one) for example in one.examples]  # fmt: skip


@pytest.mark.parametrize(("one", "example"), of_values(wanted=lambda one: bool(one.backstage)))
def test_what_is_said_to_be_different_in_documents_of_backstage_is(one: Difference, example: Any) -> None:
    assert as_input("backstage", example) != AT_HOME[repr(example)]
    same = as_input("ours", example) == as_input("backstage", example)
    assert same or "error" in as_input("ours", example) or one.ours or "{%" in example


@pytest.mark.parametrize(("one", "example"), of_values(wanted=lambda one: not one.backstage))
def test_what_is_said_to_be_different_in_our_documents_only_is(one: Difference, example: Any) -> None:
    assert as_input("backstage", example) == AT_HOME[repr(example)]
    assert as_input("ours", example) != AT_HOME[repr(example)]
    assert one.ours


def test_each_difference_has_a_name_of_its_own_and_says_why() -> None:
    assert [name for name, count in Counter(one.name for one in DIFFERENCES).items() if count > 1] == []
    assert [one.name for one in DIFFERENCES if not (one.written and one.at_home and one.why and one.examples)] == []
    assert [one.name for one in DIFFERENCES if not (one.backstage or one.ours)] == []


def test_the_docs_have_a_row_for_each_difference() -> None:
    assert "<!-- differences -->" in (DOCS / "bring-your-templates.md").read_text()
    rows = runpy.run_path(str(DOCS / "conf.py"))["differences_reference"]().splitlines()
    for one in DIFFERENCES:
        written, at_home, why = (cell.replace("|", "\\|") for cell in (one.written, one.at_home, one.why))
        (row,) = [row for row in rows if row.startswith(f"| {written} |")]
        assert at_home in row
        assert row.endswith(f"| {why} |")


# --- what only a whole document shows


def listing(folder: Path, more: str, reading: Reading) -> tuple[Template | None, list[TemplateFinding]]:
    text = DOCUMENT.format(version=reading.value, more=textwrap.indent(more, "    "))
    (folder / "t.yaml").write_text(text, encoding="utf-8")
    found = FolderTemplateSource([folder], {"debug.log@v1"}).list()
    return next(iter(found.templates), None), [*found.problems, *found.warnings]


@shows("if-that-cannot-be-read")
def test_an_if_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    for reading in Reading:
        template, findings = listing(tmp_path, "- {id: x, if: \"${{ parameters.flag ? 'b' : 'c' }}\", action: debug.log@v1}", reading)  # fmt: skip
        assert template is None
        assert findings[0].key == "spec.steps[1].if"


@shows("each-that-cannot-be-read")
def test_an_each_that_cannot_be_read_or_is_no_list_is_a_problem(tmp_path: Path) -> None:
    for reading in Reading:
        for part in ("\"${{ parameters.flag ? 'b' : 'c' }}\"", "text", "3", '"${{ nothing() }}"'):
            template, findings = listing(tmp_path, f"- {{id: x, each: {part}, action: debug.log@v1}}", reading)
            assert template is None
            assert findings[0].key == "spec.steps[1].each"


def worked_out(each: object, reading: Reading, most: int = 500) -> list[Item]:
    step = Step("one", "one", "debug.log@v1", {"message": "${{ each.value }}"}, each=each)  # type: ignore[arg-type]
    template = replace(Template("t", "t", "", (), "", "", (), (step,), {}, (), ""), reading=reading)
    context = step_context({"name": "orders"}, {}, {}, {})
    return work_out(template, 0, Known(context, context, {}), most, lambda _data: None)


@shows("each-of-no-list")
def test_an_each_that_gives_no_list_fails_its_step() -> None:
    for reading in Reading:
        for each in ("${{ 'text' }}", "${{ 3 }}", "${{ true }}", "${{ null }}", "${{ parameters.name }}"):
            with pytest.raises(ListError, match="no list"):
                worked_out(each, reading)
        assert [(item.key, item.value) for item in worked_out(["a", {"b": 1}], reading)] == [
            ("0", "a"),
            ("1", {"b": 1}),
        ]


@shows("each-of-many")
def test_an_each_that_gives_too_many_items_fails_its_step() -> None:
    for reading in Reading:
        assert len(worked_out("${{ [1, 2, 3] }}", reading, most=3)) == 3
        with pytest.raises(ListError, match="4 items; a step goes through 3 at most"):
            worked_out("${{ [1, 2, 3, 4] }}", reading, most=3)


def test_an_each_may_name_a_secret_and_an_if_and_an_input_its_item(tmp_path: Path) -> None:
    for reading in Reading:
        step = (
            "- {id: x, each: [1], if: '${{ each.value }}', action: debug.log@v1, input: {message: '${{ each.key }}'}}"
        )
        template, findings = listing(tmp_path, step, reading)
        assert template
        assert findings == []
        assert template.snapshot()["steps"][1]["each"] == [1]
        assert "each" not in template.snapshot()["steps"][0], "a worker of before does not know it"
        assert Template.from_snapshot(template.snapshot()).steps == template.steps
        _, findings = listing(tmp_path, "- {id: x, action: debug.log@v1, input: {message: '${{ each.key }}'}}", reading)
        assert [found.key for found in findings] == ["spec.steps[1].input.message"]
        step = "- {id: x, each: '${{ each.value }}', action: debug.log@v1, input: {message: '${{ each.kye }}'}}"
        _, findings = listing(tmp_path, step, reading)
        assert [found.key for found in findings] == ["spec.steps[1].each", "spec.steps[1].input.message"]


def test_items_at_a_time_are_a_matter_of_our_own_documents(tmp_path: Path) -> None:
    def told(more: str, reading: Reading = Reading.STRICT) -> list[str]:
        template, findings = listing(tmp_path, f"- {{id: x, action: debug.log@v1, {more}}}", reading)
        assert bool(template) is not any(one.severity is Severity.PROBLEM for one in findings)
        return [found.key for found in findings]

    assert told("each: [1], input: {message: hi}, concurrency: 20") == []
    assert told("each: [1], input: {message: hi}, concurrency: 21") == ["spec.steps[1].concurrency"]
    assert told("each: [1], input: {message: hi}, concurrency: many") == ["spec.steps[1].concurrency"]
    assert told("input: {message: hi}, concurrency: 2") == ["spec.steps[1].concurrency"]
    assert told("each: [1], input: {message: hi}, concurrency: 2", Reading.BACKSTAGE) == ["spec.steps[1].concurrency"]


@shows("failed-steps")
def test_a_step_that_has_failed_has_a_status_and_no_output(tmp_path: Path) -> None:
    for reading in Reading:
        for asked, position in (("status == 'failed'", 1), ("output", None), ("outputs.url", None)):
            part = f'if: "${{{{ failure() and steps.s.{asked} }}}}"'
            template, findings = listing(tmp_path, f"- {{id: x, {part}, action: debug.log@v1}}", reading)
            assert template, findings
            assert next_step_after_failure(template, 1, step_context({}, {}, {}, {}, failed_steps=["s"])) == position


@shows("if-false-text")
def test_the_text_false_is_true_at_home_only(tmp_path: Path) -> None:
    for reading, position in ((Reading.BACKSTAGE, 1), (Reading.STRICT, None)):
        template, _ = listing(tmp_path, "- {id: x, if: \"${{ 'false' }}\", action: debug.log@v1}", reading)
        assert template
        assert next_step(template, 1, step_context({}, {}, {}, {})) == position


@shows("findings")
def test_what_looks_like_something_else_is_a_warning_at_home_and_a_problem_in_ours(tmp_path: Path) -> None:
    for part in ("<<: {a: 1}", "a: {{ b }}", "a: !Ref b"):
        more = f"- {{id: x, action: debug.log@v1, input: {{message: a, b: {{{part}}}}}}}"
        template, findings = listing(tmp_path, more, Reading.BACKSTAGE)
        assert template
        assert findings
        assert listing(tmp_path, more, Reading.STRICT)[0] is None


@shows("skeleton-files")
def test_a_file_with_an_unknown_name_fails_and_names_its_line() -> None:
    with pytest.raises(ExpressionError, match=r"README\.md, line 2"):
        render_file("# ${{ values.name }}\n${{ values.nope }}\n", {"values": {"name": "n"}}, "README.md")


def with_output(folder: Path, output: str, reading: Reading) -> Template:
    text = DOCUMENT.format(version=reading.value, more=f"  output: {output}\n")
    (folder / "t.yaml").write_text(text.replace("id: s", "id: x"), encoding="utf-8")
    return FolderTemplateSource([folder], {"debug.log@v1"}).get("t")


@shows("output-of-failed-runs")
def test_a_failed_run_gives_what_asks_for_failures(tmp_path: Path) -> None:
    for reading in Reading:
        links = "[{title: A, url: /a, if: '${{ failure() }}'}, {title: B, url: /b}]"
        template = with_output(tmp_path, f"{{links: {links}, c: d}}", reading)
        assert render_output_after_failure(template, step_context({}, {}, {}, {})) == {
            "links": [{"title": "A", "url": "/a"}]
        }


@shows("output-without-value")
def test_what_leads_nowhere_is_left_out(tmp_path: Path) -> None:
    for reading in Reading:
        template = with_output(tmp_path, "{links: [{title: A, url: '${{ steps.x.output.url }}'}], text: []}", reading)
        assert render_output(template, step_context({}, {"x": {}}, {}, {})) == {"links": [], "text": []}


@shows("hidden-values")
def test_the_value_of_a_field_that_is_not_shown_is_dropped_or_refused() -> None:
    branches = [{"properties": {"host": {"const": name}, name: {"type": "string"}}} for name in ("github", "gitlab")]
    schema = {
        "type": "object",
        "properties": {"host": {"enum": ["github", "gitlab"]}},
        "dependencies": {"host": {"oneOf": branches}},
    }
    given = {"host": "github", "gitlab": "x"}
    merged = merge_pages((schema,), "")
    assert InputCheck(merged, "t", Reading.BACKSTAGE).fill(given) == {"host": "github"}
    with pytest.raises(ValidationError):
        InputCheck(merged, "t", Reading.STRICT).fill(given)


@pytest.fixture
def ctx(tmp_path: Path) -> Any:
    files = [SkeletonFile("a.yml", b"x\nref: ${{ github.ref }}")]
    return make_context(workspace=tmp_path / "workspace", read_skeleton=lambda _folder: files)


@shows("names-in-files")
def test_a_name_that_a_fetched_file_does_not_know_is_nothing_with_a_warning(ctx: Any) -> None:
    for reading in Reading:
        ctx.reading = reading
        fetch_template.run(ctx, {"url": "./skeleton", "replace": True})
        assert (ctx.workspace.folder / "a.yml").read_text() == "x\nref: "
        assert "a.yml, line 2: 'github'" in ctx.warnings[-1]


@shows("paths-of-outputs")
def test_no_output_names_a_folder_of_the_worker(ctx: Any) -> None:
    assert roadie.write.run(ctx, {"path": "./a/b", "content": ""}) == {"path": "a/b"}
    assert readdir.run(ctx, {"paths": ["a"]})["files"] == [{"name": "b", "path": "a/b", "fullPath": "a/b"}]


@shows("comments-in-yaml")
def test_comments_are_lost_with_a_warning(ctx: Any) -> None:
    roadie.write.run(ctx, {"path": "a.yaml", "content": "a: 1 # one\n"})
    merge.run(ctx, {"path": "a.yaml", "content": {"b": 2}, "preserveYamlComments": True})
    assert (ctx.workspace.folder / "a.yaml").read_text() == "a: 1\nb: 2\n"
    assert "comments" in ctx.warnings[0]


@shows("links-in-trees")
def test_a_link_that_leads_out_is_left_out_with_a_warning(ctx: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    links = [RepoFile(name, target, is_link=True) for name, target in (("in", b"a"), ("out", b"../../etc"))]
    monkeypatch.setattr(sources, "fetched", lambda *_: links)
    fetch_plain.run(ctx, {"url": "./skeleton"})
    assert [one.name for one in ctx.workspace.folder.iterdir()] == ["in"]
    assert "out is a link that leads out" in ctx.warnings[0]


HERE = "local?owner=acme&repo=orders"
PULL = {"repoUrl": HERE, "branchName": "b", "title": "t", "description": ""}


@pytest.fixture
def forge(tmp_path: Path) -> Any:
    """Runs on the local forge, each with a workspace that has one file."""
    root = tmp_path / "forge"
    (root / "acme").mkdir(parents=True)
    workspace = tmp_path / "published"

    def new_run() -> Any:
        ctx = make_context(root=root, workspace=workspace)
        (workspace / "README.md").write_text("# orders")
        return ctx

    return new_run


@shows("authors-of-commits")
def test_commits_are_by_the_requester_unless_somebody_else_is_named() -> None:
    run = RunInfo("run-1", "publish:github", 1, 3, "user:ada@example.com", "Ada Lovelace")
    assert author_of(run, {}) == Author("Ada Lovelace", "ada@example.com")
    named = {"gitAuthorName": "Shop", "gitAuthorEmail": "shop@example.com"}
    assert author_of(run, named) == Author("Shop", "shop@example.com")


@shows("repositories-of-others")
def test_a_repository_of_another_run_is_not_written_into(forge: Any) -> None:
    publish_github.run(forge(), {"repoUrl": HERE})
    with pytest.raises(ConflictError):
        publish_github.run(forge(), {"repoUrl": HERE})
    with pytest.raises(ConflictError):
        github_repo_push.run(forge(), {"repoUrl": HERE})


@pytest.mark.parametrize("commit_action", ["create", "update"])
@shows("actions-of-commits")
def test_a_commit_action_writes_what_differs(forge: Any, commit_action: str) -> None:
    publish_gitlab.run(forge(), {"repoUrl": HERE})
    ctx = forge()
    (ctx.workspace.folder / "README.md").write_text("# new")
    (ctx.workspace.folder / "more.md").write_text("# more")
    data = {"repoUrl": HERE, "branchName": "change", "commitMessage": "x", "commitAction": commit_action}
    gitlab_repo_push.run(ctx, data)
    ref = RepoRef("local", "acme", "orders", "master")
    assert [one.path for one in ctx.scm("local").tree(ref, "change")] == ["README.md", "more.md"]


@shows("inputs-of-forges")
def test_what_no_forge_here_has_is_left_out_with_a_warning(forge: Any) -> None:
    ctx = forge()
    publish_gitlab.run(ctx, {"repoUrl": HERE, "setUserAsOwner": True, "signCommit": True})
    assert any("setUserAsOwner" in one for one in ctx.warnings)
    ctx = forge()
    github_pull_request.run(ctx, {**PULL, "targetPath": "x", "forceFork": True})
    assert any("forceFork" in one for one in ctx.warnings)
    ctx = forge()
    more = {"assignReviewersFromApprovalRules": True, "autoMerge": True}
    gitlab_merge_request.run(ctx, {**PULL, "branchName": "c", "commitAction": "skip", **more})
    assert any("assignReviewersFromApprovalRules" in one for one in ctx.warnings)


@shows("branches-of-pull-requests")
def test_a_pull_request_is_committed_on_top_of_the_branch_that_is_there(forge: Any) -> None:
    publish_github.run(forge(), {"repoUrl": HERE})
    first, second = forge(), forge()
    github_pull_request.run(first, {**PULL, "targetPath": "x"})
    with pytest.raises(ConflictError):
        github_pull_request.run(second, {**PULL, "targetPath": "y"})
    github_pull_request.run(second, {**PULL, "targetPath": "y", "title": "other", "update": True})
    local = second.scm("local")
    ref = RepoRef("local", "acme", "orders", "main")
    assert [one.path for one in local.tree(ref, "b")] == ["README.md", "x/README.md", "y/README.md"]
    assert local.get_pull(ref, 1).title == "t"


@shows("nothing-to-publish")
def test_nothing_is_not_published(forge: Any) -> None:
    ctx = forge()
    (ctx.workspace.folder / "nothing").mkdir()
    for publish in (publish_github, publish_gitlab):
        with pytest.raises(ValidationError) as refused:
            publish.run(ctx, {"repoUrl": HERE, "sourcePath": "nothing"})
        assert list(refused.value.fields) == ["sourcePath"]
    assert publish_gitlab.run(ctx, {"repoUrl": HERE, "sourcePath": False})["created"] is True


@shows("variables-that-are-there")
def test_a_variable_that_is_there_is_set_anew(forge: Any) -> None:
    publish_gitlab.run(forge(), {"repoUrl": HERE})
    for value in ("one", "two"):
        ctx = forge()
        gitlab_project_variable.run(
            ctx,
            {"repoUrl": HERE, "projectId": "acme/orders", "key": "TIER", "value": value, "variableType": "env_var"},
        )
    kept = ctx.scm("local")._settings(RepoRef("local", "acme", "orders", ""))._read("variables")
    assert kept["TIER"]["value"] == "two"


@shows("protections-that-are-there")
def test_the_stricter_rule_of_a_branch_counts() -> None:
    before = protection._with(protection._body_of({}), Protection(required_reviews=3, for_admins=True))
    after = protection._with(before, Protection(required_reviews=1, required_checks=("build",)))
    reviews: Any = after["required_pull_request_reviews"]
    assert (reviews["required_approving_review_count"], after["enforce_admins"]) == (3, True)


@shows("tokens-of-requests")
def test_a_request_carries_no_token_of_the_requester(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[call.Call] = []
    kept = {"status": 200, "headers": {}, "body": "", "bodyBase64": None, "json": None, "truncated": False}
    monkeypatch.setattr(call, "call", lambda _ctx, wanted, *_: asked.append(wanted) or kept)
    ctx = make_context(http=HttpRules(backstage_url="https://portal.example"), secrets={"backstageToken": "hush"})
    http_backstage_request.run(ctx, {"method": "GET", "path": "x", "useBackstageToken": True})
    assert (asked[0].headers, asked[0].secret_headers) == ({}, {})


def test_each_difference_of_documents_is_shown_by_a_test() -> None:
    assert sorted(shown()) == sorted(one.name for one in DIFFERENCES if one.kind is Kind.DOCUMENT)


@pytest.mark.parametrize(
    ("step", "given", "fits"),
    [
        *((0.1, 0.3, True), (0.01, 19.99, True), (0.1, 0.35, False), (0.1, 1e300, True), (3, 9.0, True)),
        *(
            (3, 10, False),
            (1e-300, 1e300, True),
            (0.5, "x", True),
            (0.1, True, True),
            (5, 2**62, False),
            (0.1, 10**400, True),
        ),
    ],
)
def test_a_multiple_is_one_of_the_number_as_it_is_written(step: float, given: object, fits: bool) -> None:
    """As in the forms of Backstage, which look at eight digits: 0.3 is no multiple of 0.1 among binary numbers."""
    check = InputCheck({"type": "object", "properties": {"n": {"multipleOf": step}}}, "t", Reading.BACKSTAGE)
    if fits:
        assert check.fill({"n": given}) == {"n": given}
    else:
        with pytest.raises(ValidationError):
            check.fill({"n": given})
