"""What stopped real templates once: each feature as they use it, in a template of our own, loads and gives what it should."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from portal_actions_plugin.actions.registry import Registry
from portal_actions_plugin.software_templates.sources.reading import TemplateReader
from portal_actions_plugin.software_templates.spec import Template, validate_inputs
from portal_actions_plugin.software_templates.step_rendering import render_step_input, step_context
from portal_actions_plugin.software_templates.trial.report import Portal, State, Tried, try_folder

HEAD = "apiVersion: scaffolder.backstage.io/v1beta3\nkind: Template\nmetadata: {name: x}\nspec:\n  type: service\n"


def tried(folder: Path, spec: str) -> Tried:
    (folder / "template.yaml").write_text(HEAD + textwrap.indent(textwrap.dedent(spec), "  "))
    (one,) = try_folder(folder, Portal(Registry.from_entry_points())).templates
    return one


def loaded(folder: Path) -> Template:
    reader = TemplateReader((folder,), Registry.from_entry_points(), None, yaml_merge=False)
    (checked,) = reader.read(folder / "template.yaml", folder).checked
    template = checked.template or checked.waiting
    assert template, checked.problems
    return template


def rendered(template: Template, position: int, inputs: dict, outputs: dict | None = None, secrets: dict | None = None):
    filled = validate_inputs(template, inputs)
    context = step_context(filled, outputs or {}, {"ref": "user:default/ada"}, {})
    return render_step_input(template, position, context, secrets or {})


def test_strict_equality_decides_a_step(tmp_path):
    found = tried(tmp_path, """\
        parameters:
          - required: [host]
            properties:
              host: {type: string, enum: [github, gitlab]}
        steps:
          - id: hub
            if: ${{ parameters.host === 'github' }}
            action: publish:gitea
            input: {repoUrl: x}
          - id: lab
            if: ${{ parameters.host !== 'github' }}
            action: publish:bitbucketCloud
            input: {repoUrl: x}
        """)  # fmt: skip
    assert (found.state, found.waits_for, found.fails_without) == (
        State.WAITS, ("publish:gitea",), (),
    )  # fmt: skip
    template = loaded(tmp_path)
    context = {"parameters": {"host": "github"}}
    holds = [template.language.holds(step.condition, context, "x") for step in template.steps]
    assert holds == [True, False]


def test_a_step_goes_through_a_list_that_people_choose(tmp_path):
    found = tried(tmp_path, """\
        parameters:
          - properties:
              environments: {type: array, items: {type: string}, default: [dev]}
        steps:
          - id: make
            each: ${{ parameters.environments }}
            action: debug.log@v1
            input: {message: "for ${{ each.value }} at ${{ each.key }}"}
        """)  # fmt: skip
    assert (found.state, found.waits_for, found.problems) == (State.RUNS, (), ())


def test_a_placeholder_without_quotes_is_a_mapping_with_a_warning(tmp_path):
    found = tried(tmp_path, """\
        parameters:
          - properties:
              repoUrl:
                type: string
                ui:field: RepoUrlPicker
                ui:options:
                  allowedHosts:
                    - {{ gitHost }}
        steps:
          - {id: say, action: debug.log@v1, input: {message: x}}
        """)  # fmt: skip
    assert found.state is State.RUNS
    assert ["without quotes" in one.message for one in found.warnings] == [True]


def test_a_parameter_and_names_that_nobody_declares_have_no_value(tmp_path):
    found = tried(tmp_path, """\
        parameters:
          - properties: {name: {type: string}}
        steps:
          - id: say
            action: catalog.registerEntity@v1
            input:
              entity:
                kind: component
                name: x
                spec: {a: "${{ parameters.nowhere }}", b: "${{ roadie.tenant }}", c: "${{ env.HOME }}", d: "${{ undefined }}"}
        """)  # fmt: skip
    assert (found.state, found.fails_without) == (State.RUNS, ())
    assert len(found.warnings) >= 3
    assert rendered(loaded(tmp_path), 0, {}) == {"entity": {"kind": "component", "name": "x", "spec": {}}}


def test_a_filter_that_is_not_there_leaves_the_text_as_it_is(tmp_path):
    found = tried(tmp_path, """\
        steps:
          - id: say
            action: debug.log@v1
            input: {message: "branch-${{ '' | shouted }}"}
        """)  # fmt: skip
    assert found.state is State.RUNS
    assert "there is no filter 'shouted'" in str(found.warnings)
    assert rendered(loaded(tmp_path), 0, {}) == {"message": "branch-${{ '' | shouted }}"}


def test_the_filter_of_a_well_known_plugin_that_gives_the_time_is_there(tmp_path):
    found = tried(tmp_path, """\
        steps:
          - id: say
            action: debug.log@v1
            input: {message: "branch-${{ '' | now }}"}
        """)  # fmt: skip
    assert (found.state, found.warnings) == (State.RUNS, ())
    assert "now" not in str(rendered(loaded(tmp_path), 0, {})["message"])


def test_defaults_outside_of_their_type_or_options_count_as_none(tmp_path):
    found = tried(tmp_path, """\
        parameters:
          - required: [size, size]
            properties:
              size: {type: integer, default: small}
              kind: {type: string, enum: [a, b], default: c}
              note: {type: string, default: null}
              tags: {type: array, items: {type: string}, default: ''}
        steps:
          - {id: say, action: debug.log@v1, input: {message: "${{ parameters.size }} ${{ parameters.kind }}."}}
        """)  # fmt: skip
    assert (found.state, found.fails_without) == (State.RUNS, ())
    assert rendered(loaded(tmp_path), 0, {"size": 3}) == {"message": "3 ."}


def test_a_secret_that_a_picker_brings_is_known(tmp_path):
    found = tried(tmp_path, """\
        parameters:
          - required: [repoUrl]
            properties:
              repoUrl:
                type: string
                ui:field: RepoUrlPicker
                ui:options:
                  requestUserCredentials: {secretsKey: USER_TOKEN, additionalScopes: {github: [workflow]}}
        steps:
          - {id: publish, action: publish:github, input: {repoUrl: "${{ parameters.repoUrl }}", token: "${{ secrets.USER_TOKEN }}"}}
        """)  # fmt: skip
    assert (found.state, found.warnings) == (State.RUNS, ())
    given = {"repoUrl": "github.com?owner=a&repo=b"}
    assert rendered(loaded(tmp_path), 0, given, secrets={"USER_TOKEN": "t"}) == {**given, "token": "t"}


def test_two_pages_may_declare_one_parameter_and_steps_have_ids_of_any_signs(tmp_path):
    found = tried(tmp_path, """\
        parameters:
          - properties: {name: {type: string, title: Name}}
          - properties: {name: {type: string, title: Name again}}
        steps:
          - {id: "fs:rename", name: Rename, action: debug.log@v1, input: {message: x}}
          - {id: publish, if: "${{ parameters.name }}", action: debug.log@v1, input: {message: one}}
          - {id: publish, if: "${{ not parameters.name }}", action: debug.log@v1, input: {message: "${{ steps['fs:rename'].output.x }}."}}
        """)  # fmt: skip
    assert (found.state, found.fails_without) == (State.RUNS, ())
    assert rendered(loaded(tmp_path), 2, {}, {"fs:rename": {"x": 1}}) == {"message": "1."}


TERNARY = """\
    parameters: {required: [a], properties: {a: {type: boolean}}}
    steps:
      - id: say
        action: debug.log@v1
        if: "${{ parameters.a CONDITION }}"
        input: {message: "MESSAGE"}
    """


def test_javascripts_ternary_stays_a_text_in_a_value_and_is_mended_in_an_if(tmp_path):
    message = "${{ parameters.a ? 'x' : 'y' }}"
    assert tried(tmp_path, TERNARY.replace("CONDITION", "").replace("MESSAGE", message)).state is State.RUNS
    assert rendered(loaded(tmp_path), 0, {"a": True}) == {"message": message}
    found = tried(tmp_path, TERNARY.replace("CONDITION", "? true : false"))
    assert found.state is State.LINE
    assert '+      if: "${{ true if parameters.a else false }}"' in found.patch


def test_what_optional_parameters_leave_out_fails_no_step(tmp_path):
    found = tried(tmp_path, """\
        parameters:
          - required: [name]
            properties:
              name: {type: string}
              description: {type: string}
              port: {type: integer}
              owner: {type: string, ui:field: OwnerPicker}
        steps:
          - id: say
            action: catalog.registerEntity@v1
            input:
              entity:
                kind: component
                name: x
                ownerRef: ${{ parameters.owner }}
                title: ${{ parameters.name }}, ${{ parameters.description }}
                spec:
                  port: ${{ parameters.port }}
                  url: http://x${{ ':' + parameters.port if parameters.port else '' }}
        """)  # fmt: skip
    assert (found.state, found.fails_without, found.problems) == (State.RUNS, (), ())
    template = loaded(tmp_path)
    entity = rendered(template, 0, {"name": "n"})["entity"]
    assert entity == {"kind": "component", "name": "x", "title": "n, ", "spec": {"url": "http://x"}}
    entity = rendered(template, 0, {"name": "n", "port": 8443})["entity"]
    assert entity["spec"] == {"port": 8443, "url": "http://x:8443"}


@pytest.mark.parametrize("word", ["$yaml", "$json"])
def test_parts_that_templates_share_are_read(tmp_path, word):
    (tmp_path / "products.txt").write_text('{"required": ["product"], "properties": {"product": {"type": "string"}}}')
    found = tried(tmp_path, f"""\
        parameters:
          - {word}: ./products.txt
        steps:
          - {{id: say, action: debug.log@v1, input: {{message: "${{{{ parameters.product }}}}"}}}}
        """)  # fmt: skip
    assert (found.state, found.fails_without) == (State.RUNS, ())
