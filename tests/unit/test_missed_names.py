"""Names that have no value in any run: outputs that no action gives, parameters that no page declares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from portal_actions_plugin.actions.registry import Registry
from portal_actions_plugin.host import Severity
from portal_actions_plugin.software_templates.trial.report import Portal, State, Tried, try_folder

HOME = "scaffolder.backstage.io/v1beta3"
REGISTRY = Registry.from_entry_points()
PULL = {
    "id": "pull",
    "action": "publish:github:pull-request",
    "input": {
        "repoUrl": "github.com?owner=acme&repo=${{ parameters.repo }}",
        "branchName": "b",
        "title": "t",
        "description": "d",
    },
}
Try = Callable[..., Tried]


@pytest.fixture
def tried(tmp_path: Path) -> Try:
    """Try a template with one required parameter, ``repo``, and these steps."""

    def try_steps(*steps: object, version: str = HOME, **output: object) -> Tried:
        form = {"required": ["repo"], "properties": {"repo": {"type": "string"}}}
        spec = {"owner": "team:a", "type": "service", "parameters": [form], "steps": list(steps), "output": output}
        document = {"apiVersion": version, "kind": "Template", "metadata": {"name": "svc", "title": "s"}, "spec": spec}
        (tmp_path / "svc.yaml").write_text(yaml.safe_dump(document))
        (found,) = try_folder(tmp_path, Portal(REGISTRY)).templates
        return found

    return try_steps


def register(url: str, **more: object) -> dict[str, object]:
    return {"id": "register", "action": "catalog:register", "input": {"repoContentsUrl": url}, **more}


def test_a_step_that_cannot_do_without_an_output_that_no_action_gives_fails_in_every_run(tried):
    found = tried(PULL, register("${{ steps.pull.output.repoContentsUrl }}"))
    (problem,) = found.problems
    assert (found.state, problem.key) == (State.BROKEN, "spec.steps[1].input.repoContentsUrl")
    assert "publish:github:pull-request gives no output 'repoContentsUrl'" in problem.message
    assert problem.severity is Severity.WARNING, "a run of it can be started"


@pytest.mark.parametrize("url", ["${{ steps['pull'].output['remoteUrl'] }}", "${{ steps.pull.output.remoteUrl }}/x"])
def test_an_output_that_the_action_gives_is_no_finding(tried, url):
    found = tried(PULL, register(url))
    assert (found.state, found.problems, found.warnings) == (State.RUNS, (), ())


def test_where_a_step_can_do_without_it_the_template_runs_and_its_owner_is_told(tried):
    log = {"id": "log", "action": "debug:log", "input": {"message": "at ${{ steps.pull.output.remoteUlr }}"}}
    found = tried(PULL, log, links=[{"title": "x", "url": "${{ steps.pull.output.url }}"}])
    assert (found.state, found.problems) == (State.RUNS, ())
    said = {one.key: one.message for one in found.warnings}
    assert said.keys() == {"spec.steps[1].input.message", "spec.output.links[0].url"}
    assert "did you mean 'remoteUrl'?" in said["spec.steps[1].input.message"]


def test_a_step_that_an_if_may_spare_fails_in_no_certain_run(tried):
    found = tried(PULL, register("${{ steps.pull.output.repoContentsUrl }}", **{"if": "${{ parameters.repo == 'x' }}"}))
    assert (found.state, [one.key for one in found.warnings]) == (
        State.RUNS,
        ["spec.steps[1].input.repoContentsUrl"],
    )


def test_one_of_two_steps_of_an_id_may_give_it(tried):
    publish = {"id": "pull", "action": "publish:github", "if": "${{ parameters.repo == 'x' }}"}
    other = {**publish, "input": {"repoUrl": "github.com?owner=acme&repo=x"}}
    apart = {**PULL, "if": "${{ parameters.repo != 'x' }}"}
    found = tried(apart, other, register("${{ steps.pull.output.repoContentsUrl }}"))
    assert not [one for one in found.warnings if "gives no output" in one.message]


def test_what_an_action_may_give_is_unknown_where_it_does_not_say(tried):
    call = {"id": "pull", "action": "acme:unknown", "input": {}}
    found = tried(call, register("${{ steps.pull.output.repoContentsUrl }}"))
    assert (found.state, found.warnings) == (State.WAITS, ())


def test_in_a_document_of_ours_an_action_may_give_more_than_it_says(tried):
    step = {**PULL, "name": "Pull"}
    after = register("${{ steps.pull.output.repoContentsUrl }}", name="Register")
    found = tried(step, after, version="portal-actions/v1")
    assert not [one for one in (*found.problems, *found.warnings) if "gives no output" in one.message]


def test_a_step_that_cannot_do_without_a_parameter_that_no_page_declares_fails_in_every_run(tried):
    step = {**PULL, "input": {**PULL["input"], "repoUrl": "github.com?owner=acme&repo=${{ parameters.slug }}"}}
    found = tried(step)
    assert (found.state, [one.key for one in found.problems]) == (State.BROKEN, ["spec.steps[0].input.repoUrl"])
    assert "there is no parameter 'slug'" in found.problems[0].message


def test_one_that_a_step_can_do_without_is_a_warning(tried):
    step = {**PULL, "input": {**PULL["input"], "title": "Add ${{ parameters.slug }}"}}
    found = tried(step)
    assert (found.state, [one.key for one in found.warnings]) == (State.RUNS, ["spec.steps[0].input.title"])


def test_a_form_that_requires_what_no_page_declares_cannot_be_sent(tmp_path: Path):
    form = {"required": ["repo", "name"], "properties": {"repo": {"type": "string"}}}
    spec = {"owner": "team:a", "type": "service", "parameters": [form], "steps": [PULL]}
    document = {"apiVersion": HOME, "kind": "Template", "metadata": {"name": "svc"}, "spec": spec}
    (tmp_path / "svc.yaml").write_text(yaml.safe_dump(document))
    (found,) = try_folder(tmp_path, Portal(REGISTRY)).templates
    assert found.state is not State.RUNS
    assert "'name'" in " ".join(one.message for one in found.problems)


# -- actions that are not there


GONE = {"id": "gone", "action": "acme:unknown", "if": "${{ parameters.repo == 'x' }}", "input": {"a": 1}}


def test_a_step_that_the_usual_run_passes_by_may_lack_its_action_as_at_home(tried):
    found = tried(GONE, PULL)
    assert (found.state, found.waits_for, found.problems) == (State.RUNS, (), ())
    (warning,) = found.warnings
    assert (warning.severity, warning.key, warning.waits_for) == (
        Severity.WARNING,
        "spec.steps[0].action",
        "acme:unknown",
    )


@pytest.mark.parametrize(
    "condition",
    [
        "${{ parameters.repo }}",
        "${{ parameters.other or true }}",
        "${{ steps.pull.output.remoteUrl == 'x' }}",
        True,
        "",
    ],
)
def test_one_that_it_comes_to_or_may_come_to_is_waited_for(tried, condition):
    found = tried(PULL, {**GONE, "if": condition})
    assert (found.state, found.waits_for) == (State.WAITS, ("acme:unknown",))


def test_in_a_document_of_ours_it_is_a_problem_all_the_same(tried):
    found = tried({**GONE, "name": "Gone"}, {**PULL, "name": "Pull"}, version="portal-actions/v1")
    assert (found.state, found.waits_for) == (State.WAITS, ("acme:unknown",))
