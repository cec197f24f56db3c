"""What is said of templates before anybody runs them: what they wait for, what a line mends, what fails without what."""

from __future__ import annotations

import json
import subprocess
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from portal_actions_plugin.actions.registry import Registry
from portal_actions_plugin.cli import actions
from portal_actions_plugin.software_templates.parameters.inputs import InputCheck
from portal_actions_plugin.software_templates.trial import files
from portal_actions_plugin.software_templates.trial.report import Portal, Report, State, Tried, try_folder
from portal_actions_plugin.software_templates.trial.samples import sample

HOME = "scaffolder.backstage.io/v1beta3"
OURS = "portal-actions/v1"
PAGE = "{required: [name], properties: {name: {type: string}, text: {type: string}, many: {type: array}}}"


def template(
    name: str = "x", steps: str = "[{action: debug.log@v1, input: {message: x}}]", *, api: str = HOME, pages: str = PAGE
) -> str:
    inside = steps if steps.startswith("[") else "\n" + textwrap.indent(textwrap.dedent(steps), "    ").rstrip()
    return (
        f"apiVersion: {api}\nkind: Template\nmetadata:\n  name: {name}\nspec:\n  type: service\n"
        f"  parameters: {pages}\n  steps: {inside}\n"
    )


def log(message: str, more: str = "") -> str:
    return f"- id: say\n  action: debug.log@v1\n{more}  input:\n    message: {message}\n"


def report(folder: Path, **contents: str) -> Report:
    for name, text in contents.items():
        file = folder / name / "template.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return try_folder(folder, Portal(Registry.from_entry_points()))


def tried(folder: Path, text: str) -> Tried:
    (one,) = report(folder, x=text).templates
    return one


def applied(folder: Path, one: Tried) -> Tried:
    """The template once git has applied its patch."""
    git = subprocess.run(["git", "apply", "-"], check=False, input=one.patch.encode(), cwd=folder, capture_output=True)
    assert git.returncode == 0, (git.stderr.decode(), one.patch)
    (after,) = try_folder(folder, Portal(Registry.from_entry_points())).templates
    return after


# --- states


def test_a_template_runs_waits_or_is_broken(tmp_path):
    found = report(
        tmp_path,
        runs=template("runs", log("${{ parameters.name }}")),
        waits=template("waits", "[{action: acme:template}, {action: acme:publish}, {action: acme:template}]"),
        each=template("each", "[{action: acme:template, each: '${{ parameters.many }}'}]"),
        broken=template("broken", "[{action: acme:template, if: '${{ ( }}'}]"),
    )
    assert {one.name: (one.state, one.waits_for) for one in found.templates} == {
        "runs": (State.RUNS, ()),
        "waits": (State.WAITS, ("acme:publish", "acme:template")),
        "each": (State.WAITS, ("acme:template",)),
        "broken": (State.BROKEN, ("acme:template",)),
    }
    assert found.waited_for == [("acme:template", 3), ("acme:publish", 1)]
    assert not found.all_run


def test_templates_are_found_at_any_depth_and_those_of_others_are_not(tmp_path, monkeypatch):
    deep = tmp_path / "a" / "b" / "c" / "any-name.yml"
    deep.parent.mkdir(parents=True)
    deep.write_text(template("deep"))
    (tmp_path / "openshift.yaml").write_text(
        "apiVersion: template.openshift.io/v1\nkind: Template\nmetadata: {name: o}\n"
    )
    (tmp_path / "chart.yaml").write_text("kind: {{ .Values.kind }}\n")
    for hidden in (".git", "node_modules"):
        (tmp_path / hidden).mkdir()
        (tmp_path / hidden / "t.yaml").write_text(template("hidden"))
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert [(one.name, one.file) for one in report(tmp_path).templates] == [("deep", "a/b/c/any-name.yml")]
    monkeypatch.setattr(files, "MAX_ENTRIES", 3)
    with pytest.raises(files.TooManyFilesError):
        report(tmp_path)


def test_targets_of_locations_that_are_not_there_are_told(tmp_path):
    location = "apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata: {name: l}\nspec: {targets: [./x/template.yaml, ./no.yaml]}\n"
    (tmp_path / "all.yaml").write_text(location)
    found = report(tmp_path, x=template())
    assert [(one.file, one.line, one.message) for one in found.problems] == [
        ("all.yaml", 4, "there is no file ./no.yaml")
    ]
    assert not found.all_run


def test_placeholders_reach_the_whole_folder_that_is_tried(tmp_path):
    (tmp_path / "common.yaml").write_text("properties: {name: {type: string}}\n")
    assert tried(tmp_path, template(pages="{$yaml: ../common.yaml}")).state is State.RUNS


# --- what fails without what


@pytest.mark.parametrize(
    ("message", "without"),
    [
        ("${{ parameters.text }}", ("text",)),
        ("for ${{ parameters.text }}", ()),
        ("${{ parameters.name }}", ()),
        ("${{ parameters.text or parameters.name }}", ()),
        ("${{ parameters.text or parameters.many }}", ("text",)),
        ("${{ steps.nowhere.output.x }}", ()),
        ("${{ parameters.text | default('x') }}", ()),
    ],
)
def test_optional_parameters_whose_absence_fails_a_step_are_told(tmp_path, message, without):
    found = tried(tmp_path, template(steps=log(message, "  if: ${{ parameters.name }}\n")))
    assert found.fails_without == without


def test_steps_that_run_only_with_a_parameter_do_not_fail_without_it(tmp_path):
    assert (
        tried(tmp_path, template(steps=log("${{ parameters.text }}", "  if: ${{ parameters.text }}\n"))).fails_without
        == ()
    )


def test_outputs_of_steps_before_are_made_up(tmp_path):
    steps = "- {id: make, action: acme:template}\n" + log(
        "${{ steps.make.output.remoteUrl }} ${{ steps['make'].output.a.b.split('x')[0] }} ${{ parameters.text.length }}"
    )
    assert tried(tmp_path, template(steps=steps)).fails_without == ()


# --- what a line mends


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (template(steps=log("x").replace("@v1", "")), "action: debug.log@v1"),
        (template(steps=log("x", "  if: ${{ parameters.name ? true : false }}\n").replace("if: $", "if: '$").replace("}}\n  in", "}}'\n  in")), "if: '${{ true if parameters.name else false }}'"),
        (template(steps=log("x", "  if: ${{ parameters.name ? true : false }}\n")), "if: '${{ true if parameters.name else false }}'"),
        (template(steps=log("x", "  if: ${{ parameters.name && parameters.text }}\n")), "if: ${{ parameters.name and parameters.text }}"),
        (template(steps=log("${{ parameters.nmae }}"), api=OURS), "message: ${{ parameters.name }}"),
        (template(steps=log("for ${{ parameters.text }}"), api=OURS), "message: for ${{ parameters.text | default('') }}"),
        (template(steps=log("${{ parameters.name }}", "  name: a\n  name: a\n")), ""),
        (template(steps=log("${{ parameters.text }}"), pages="\n    required: [name]\n    properties: {name: {type: string}, text: {type: string}}"), "required: [name, text]"),
        (template(steps=log("${{ parameters.text }}"), pages="\n    required:\n      - name\n    properties: {name: {type: string}, text: {type: string}}"), "- text"),
        (template(steps=log("${{ parameters.text }}"), pages="\n    properties:\n      text: {type: string}"), "required: [text]"),
        (template(steps=log("{{ parameters.name }}"), api=OURS), "message: '{{ parameters.name }}'"),
        (template(pages=PAGE + "\n  onwer: me", api=OURS), "owner: me"),
    ],
)  # fmt: skip
def test_a_patch_is_one_that_git_applies_and_with_which_the_template_runs(tmp_path, text, line):
    before = tried(tmp_path, text)
    assert before.state is State.LINE
    added = [one[1:].strip() for one in before.patch.split("\n")[2:] if one.startswith("+")]
    assert line in added or (not line and not added)
    after = applied(tmp_path, before)
    assert (after.state, after.fails_without) == (State.RUNS, ())


def test_several_lines_make_one_patch_and_what_waits_for_an_action_still_waits(tmp_path):
    steps = log("${{ parameters.nmae }}", "  if: ${{ parameters.name && true }}\n") + "- {action: acme:plain}\n"
    before = tried(tmp_path, template(steps=steps, api=OURS))
    assert (before.state, before.waits_for, before.lines) == (State.WAITS, ("acme:plain",), 2)
    assert applied(tmp_path, before).problems == ()


def test_what_no_line_mends_has_no_patch(tmp_path):
    before = tried(tmp_path, template(steps=log("x", "  if: ${{ parameters.name ( }}\n")))
    assert (before.state, before.patch) == (State.BROKEN, "")


@pytest.mark.parametrize("name", ["plain", "with space", "ünïcode", 'quo"te'])
def test_files_of_any_name_end_and_line_ending_can_be_patched(tmp_path, name):
    (tmp_path / name).mkdir()
    text = "\ufeff" + template(steps=log("${{ parameters.nmae }}"), api=OURS).rstrip("\n").replace("\n", "\r\n")
    (tmp_path / name / "t.yaml").write_bytes(text.encode())
    (before,) = report(tmp_path).templates
    after = applied(tmp_path, before)
    assert after.state is State.RUNS
    changed = (tmp_path / name / "t.yaml").read_bytes().decode()
    assert changed == text.replace("nmae", "name")


# --- made-up values


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^[a-z0-9-]{3,20}$"},
        {"type": "string", "pattern": "^[A-Z]+$", "minLength": 3},
        {"type": "string", "minLength": 40},
        {"type": "string", "maxLength": 1},
        {"type": "string", "format": "email"},
        {"type": "string", "format": "uri"},
        {"type": "string", "format": "date"},
        {"type": "string", "format": "ipv4"},
        {"type": "string", "enum": ["a", "b"]},
        {"type": ["null", "integer"], "minimum": 7, "multipleOf": 5},
        {"type": "integer", "exclusiveMinimum": 3},
        {"type": "number", "maximum": -2},
        {"type": "integer", "exclusiveMaximum": 0},
        {"type": "boolean"},
        {"type": "array", "items": {"type": "string", "enum": ["a", "b", "c"]}, "minItems": 2, "uniqueItems": True},
        {"type": "array", "items": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}},
        {"type": "object", "required": ["a"], "properties": {"a": {"const": 3}, "b": {"type": "string"}}},
        {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}, {"required": ["a"]}]},
        {"type": "string", "examples": ["an example"]},
        {"type": "string", "ui:field": "RepoUrlPicker", "ui:options": {"allowedHosts": ["git.example.com"]}},
    ],
)
def test_a_made_up_value_is_one_that_its_schema_takes(schema):
    check = InputCheck({"type": "object", "properties": {"value": schema}}, "x")
    assert check.fill({"value": sample({}, schema)})


def test_a_schema_that_leads_back_to_itself_has_an_example_too(tmp_path):
    node = "{type: object, required: [next], properties: {next: {$ref: '#/definitions/node'}}}"
    pages = f"{{required: [node], properties: {{node: {{$ref: '#/definitions/node'}}}}, definitions: {{node: {node}}}}}"
    assert tried(tmp_path, template(pages=pages)).state is State.RUNS


# --- the commands


def run(*arguments: str) -> Result:
    """A command outside of any portal: with the actions that are installed, and no database or Redis to be had."""
    return CliRunner().invoke(actions, ["template", *arguments])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLASK_APP", raising=False)
    return tmp_path


def test_lint_tells_file_and_line_and_its_exit_code_what_was_found(here):
    Path("good.yaml").write_text(template("good"))
    Path("warned.yaml").write_text(template("warned", log("${{ parameters.nowhere }}x")))
    Path("bad.yaml").write_text(template("bad", "[{action: acme:plain}]"))
    assert (run("lint", "good.yaml").exit_code, run("lint", "warned.yaml").exit_code) == (0, 0)
    assert run("lint", "--strict", "good.yaml", "warned.yaml").exit_code == 1
    bad = run("lint", ".")
    assert bad.exit_code == 1
    assert "bad.yaml:8: problem: spec.steps[0].action: there is no action 'acme:plain'" in bad.output
    assert "warned.yaml:12: warning: spec.steps[0].input.message: " in bad.output
    assert bad.output.endswith("3 templates, 1 problem, 1 warning\n")
    missing = run("lint", "nothing.yaml")
    assert (missing.exit_code, "There is no file or folder nothing.yaml" in missing.output) == (2, True)
    Path("other.yaml").write_text("a: 1\n")
    assert run("lint", "other.yaml").exit_code == 2


def test_a_slip_in_the_name_of_an_action_is_told_with_the_name_that_is_meant(here):
    Path("a.yaml").write_text(template("x", "[{action: 'fetch:templte'}, {action: 'fetch:rails'}]"))
    slip, other = run("lint", "a.yaml").output.splitlines()[:2]
    assert "'fetch:templte', which 1 template here asks for: " in slip
    assert slip.endswith("; did you mean 'fetch:template'?")
    assert "did you mean" not in other


def test_lint_speaks_json_and_workflow_commands(here):
    Path("a,b.yaml").write_text(template("x", "[{action: 'no:100%'}]"))
    found = json.loads(run("lint", "--format", "json", "a,b.yaml").output)
    assert found["templates"] == 1
    assert found["findings"][0] | {"message": ""} == {
        "severity": "problem", "template": "x", "file": "a,b.yaml", "line": 8, "key": "spec.steps[0].action",
        "message": "", "value": "", "write": "", "waits_for": "no:100%",
    }  # fmt: skip
    told = run("lint", "--format", "github", "a,b.yaml").output
    assert told.startswith(
        "::error file=a%2Cb.yaml,line=8,title=x%3A spec.steps[0].action::there is no action 'no:100%25', which 1 template "
    )


def test_lint_reads_locations_placeholders_of_the_repository_and_names_that_are_there_twice(here):
    (here / ".git").mkdir()
    (here / "deep").mkdir()
    (here / "common.yaml").write_text("properties: {name: {type: string}}\n")
    location = "apiVersion: backstage.io/v1alpha1\nkind: Location\nmetadata: {name: l}\nspec: {target: [1], targets: [./no.yaml]}\n"
    (here / "deep" / "all.yaml").write_text(location)
    for name in ("one", "two"):
        (here / "deep" / f"{name}.yaml").write_text(template("same", pages="{$yaml: /common.yaml}"))
    found = run("lint", "deep/one.yaml", "deep")
    taken = "problem: metadata.name: the name 'same' is that of"
    assert found.output.splitlines() == [
        "deep/all.yaml:4: problem: spec.target: a target must be a path, as a text",
        "deep/all.yaml:4: problem: spec.targets[0]: there is no file ./no.yaml",
        f"deep/one.yaml:4: {taken} deep/two.yaml too, so neither can be used: give one another name",
        f"deep/two.yaml:4: {taken} deep/one.yaml too, so neither can be used: give one another name",
        "2 templates, 4 problems, 0 warnings",
    ]  # fmt: skip


def test_try_prints_one_table_and_writes_a_patch_for_all(here):
    (here / "t").mkdir()
    (here / "t" / "runs.yaml").write_text(template("runs"))
    assert run("try", "t").exit_code == 0
    (here / "t" / "waits.yaml").write_text(template("waits", "[{action: acme:plain}]"))
    (here / "t" / "line.yaml").write_text(template("line", log("${{ parameters.nmae }}"), api=OURS))
    told = run("try", "t", "--patch", "p.diff")
    assert told.exit_code == 1
    lines = told.output.splitlines()
    assert lines[0] == "runs today    runs   runs.yaml"
    assert "waits         waits  waits.yaml" in lines
    assert "1 runs today, 1 needs a line, 1 waits" in lines
    assert "    1  acme:plain" in lines
    assert '"An action that is not there" in the docs says how to add it' in lines
    subprocess.run(["git", "apply", "--check", "../p.diff"], cwd=here / "t", check=True)
    found = json.loads(run("try", "t", "--format", "json").output)
    assert found["counts"] == {"runs today": 1, "needs a line": 1, "waits": 1, "is broken": 0}
    assert found["waited_for"] == {"acme:plain": 1}
    assert [one["name"] for one in found["templates"]] == ["line", "runs", "waits"]
    assert "".join(one["patch"] for one in found["templates"]) == Path("p.diff").read_text()


def test_try_reads_what_lies_elsewhere_in_the_repository_and_logs_nothing_of_made_up_values(here, caplog):
    (here / ".git").mkdir()
    (here / "deep").mkdir()
    (here / "common.yaml").write_text("required: [name]\nproperties: {name: {type: string}}\n")
    steps = log("${{ parameters.name | shouted }}x")
    (here / "deep" / "x.yaml").write_text(template(steps=steps, pages="{$yaml: ../common.yaml}"))
    told = run("try", "deep")
    assert (told.exit_code, told.output.splitlines()[0]) == (0, "runs today    x  x.yaml")
    assert caplog.messages == []


def test_try_of_nothing_is_a_sentence(here):
    (here / "empty").mkdir()
    for place in ("empty", "missing", "git@github.com:acme/x.git", "file:///x"):
        refused = run("try", place)
        assert refused.exit_code == 2
        assert refused.output.splitlines()[-1].startswith(("Error: There is no", "  → Clone it yourself"))


def test_a_file_that_may_not_be_read_is_a_problem_and_not_passed_over(here, monkeypatch):
    (here / "closed.yaml").write_text(template("closed"))
    opened = Path.open

    def refuse(path: Path, *arguments: object, **options: object) -> object:
        if path.name == "closed.yaml":
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)
    for command in (("lint", "."), ("lint", "closed.yaml"), ("try", ".")):
        told = run(*command)
        assert told.exit_code == 1
        assert "closed.yaml:1: " in told.output
        assert "this cannot be read: Permission denied" in told.output


def test_no_line_begins_as_a_workflow_command_does(here):
    (here / "::error::x.yaml").write_text(template("no name"))
    for command in ("lint", "try"):
        lines = [line.strip() for line in run(command, ".").output.splitlines()]
        assert not [line for line in lines if line.startswith("::")]
        assert any(line.startswith("./::error::x.yaml:4: ") for line in lines), lines


# --- what loads, and fails in every run


def test_a_template_whose_step_is_always_refused_is_broken_and_says_by_which_line(tmp_path: Path) -> None:
    one = tried(tmp_path, template(steps="[{action: scm.createRepo@v1, input: {provider: local, owner: acme}}]"))
    assert (one.state, one.warnings) == (State.BROKEN, ())
    assert [(found.key, found.severity) for found in one.problems] == [("spec.steps[0].input.repo", "warning")]


def test_a_misspelt_key_of_an_input_that_is_always_refused_is_mended(tmp_path: Path) -> None:
    one = tried(tmp_path, template(steps=log("hello", more="  # a note\n").replace("message:", "mesage:")))
    assert one.state is State.LINE
    assert applied(tmp_path, one).state is State.RUNS


def test_a_refused_input_of_a_step_with_an_if_stays_a_warning(tmp_path: Path) -> None:
    one = tried(tmp_path, template(steps=log("[1]", more="  if: ${{ parameters.text }}\n")))
    assert (one.state, [found.key for found in one.warnings]) == (State.RUNS, ["spec.steps[0].input.message"])


@pytest.mark.parametrize("api", [HOME, OURS])
def test_advice_in_words_is_no_line_of_a_patch(tmp_path: Path, api: str) -> None:
    pages = '{properties: {name: {type: string, minLength: 2, default: ""}}}'
    one = tried(tmp_path, template(pages=pages, api=api))
    (found,) = (*one.problems, *one.warnings)
    assert (one.patch, found.write) == ("", "")
    assert found.message.endswith("; write a default that fits, or none")


SECRET_PAGE = "{required: [name, token], properties: {name: {type: string}, text: {type: string}, token: {type: string, 'ui:field': Secret}}}"


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ('"${{ parameters.token }}"', '"${{ secrets.token }}"'),
        ("for ${{ parameters['token'] | upper }}", "for ${{ secrets.token | upper }}"),
        (
            "\"${{ 'parameters.token' ~ parameters.token ~ parameters.name }}\"",
            "\"${{ 'parameters.token' ~ secrets.token ~ parameters.name }}\"",
        ),
        ("a${{ parameters.text ~ 'x' }}", "a${{ (parameters.text | default('')) ~ 'x' }}"),
        ("'a${{ parameters.text }}'", "'a${{ parameters.text | default('''') }}'"),
        ("a${{ 'x' if parameters.name }}", "a${{ 'x' if parameters.name else '' }}"),
        ("${{ 'x' if always else 'y' }}", "${{ 'x' if always() else 'y' }}"),
    ],
)
def test_a_line_of_a_patch_keeps_the_rest_of_an_expression(tmp_path: Path, message: str, line: str) -> None:
    one = tried(tmp_path, template(steps=log(message), api=OURS, pages=SECRET_PAGE))
    added = [text[1:].strip() for text in one.patch.split("\n")[2:] if text.startswith("+")]
    assert added == [f"message: {line}"]
    assert applied(tmp_path, one).state is State.RUNS


def test_an_expression_gets_quotes_where_it_comes_among_braces(tmp_path: Path) -> None:
    steps = "[{if: parameters.text, action: debug.log@v1, input: {message: x}}]"
    one = tried(tmp_path, template(steps=steps, api=OURS))
    assert "if: '${{ parameters.text }}', action" in one.patch
    assert applied(tmp_path, one).state is State.RUNS


@pytest.mark.parametrize(("condition", "state"), [("", State.BROKEN), ("if: '${{ parameters.text }}', ", State.RUNS)])
@pytest.mark.parametrize(
    "step",
    [
        "action: scm.pushSkeleton@v1, input: {repo: {provider: local, owner: a, repo: b}, skeleton: ./files}",
        "action: 'fetch:template', input: {url: ./files}",
    ],
)
def test_a_file_that_no_run_can_render_breaks_a_template(
    tmp_path: Path, step: str, condition: str, state: State
) -> None:
    (tmp_path / "x" / "files").mkdir(parents=True)
    (tmp_path / "x" / "files" / "a.txt").write_text("one\n${{ values.name \n")
    assert tried(tmp_path, template(steps=f"[{{{condition}{step}}}]")).state is state
