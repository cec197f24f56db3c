"""What template authors may write between ``${{`` and ``}}``, and how far a hostile one gets."""

from __future__ import annotations

import json
import time

import pytest

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.software_templates.expressions.references import references
from portal_actions_plugin.software_templates.expressions.rendering import (
    ExpressionError,
    UndefinedValueError,
    evaluate_condition,
    render,
    render_file,
)
from tests.support import attacks

CONTEXT = {
    "parameters": {
        "name": "orders",
        "count": 3,
        "ratio": 0.5,
        "review": True,
        "nothing": None,
        "tags": ["a", "b"],
        "db": {"size": 10},
        "items": "a key, not a method",
        "repoUrl": "github.com?owner=acme&repo=orders",
    },
    "steps": {"create-repo": {"output": {"repoUrl": "https://forge/acme/orders"}, "outputs": {}}},
    "user": {"id": "user:ada"},
    "context": {},
}


def value(expression: str):
    return render(f"${{{{ {expression} }}}}", CONTEXT, "steps[1].input.repo")


def problem(expression: str, **context) -> str:
    with pytest.raises(ValidationError) as caught:
        render(f"${{{{ {expression} }}}}", {**CONTEXT, **context}, "steps[1].input.repo")
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${{ parameters.name }}", "orders"),
        ("${{ parameters.count }}", 3),
        ("${{ parameters.ratio }}", 0.5),
        ("${{ parameters.review }}", True),
        ("${{ parameters.nothing }}", None),
        ("${{ parameters.tags }}", ["a", "b"]),
        ("${{ parameters.db }}", {"size": 10}),
        ("${{parameters['name']}}", "orders"),
        ("${{ steps['create-repo'].output.repoUrl }}", "https://forge/acme/orders"),
        ('${{ steps["create-repo"]["output"]["repoUrl"] }}', "https://forge/acme/orders"),
        ("${{ parameters.count + 1 }}", 4),
        ("${{ parameters.count > 2 and not parameters.nothing }}", True),
        ("${{ [parameters.name, 1, null] }}", ["orders", 1, None]),
        ("${{ range(3) }}", [0, 1, 2]),
        ("${{ parameters.db.items() }}", [["size", 10]]),
    ],
)
def test_a_string_that_is_exactly_one_expression_keeps_its_type(text, expected):
    rendered = render(text, CONTEXT, "here")
    assert rendered == expected
    assert type(rendered) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x-${{ parameters.count }}", "x-3"),
        (" ${{ parameters.count }}", " 3"),
        ("${{ parameters.count }}\n", "3\n"),
        ("${{ parameters.name }}${{ parameters.count }}", "orders3"),
        ("${{ parameters.review }}!", "true!"),
        ("[${{ parameters.nothing }}]", "[]"),
        ("tags: ${{ parameters.tags }}", 'tags: ["a", "b"]'),
        ("size: ${{ parameters.db }}", 'size: {"size": 10}'),
        ("plain", "plain"),
        ("", ""),
        ("a }} b {% if x %} {# y #} ${#list[@]} {{ z }}", "a }} b {% if x %} {# y #} ${#list[@]} {{ z }}"),
        ("${{ '${{ github.ref }}' }}", "${{ github.ref }}"),
    ],
)
def test_anything_around_an_expression_makes_a_text(text, expected):
    assert render(text, CONTEXT, "here") == expected


def test_values_are_rendered_at_every_depth_and_keys_never():
    given = {"${{ parameters.name }}": [{"deep": ["${{ parameters.count }}", 7, None, True]}]}
    assert render(given, CONTEXT, "here") == {"${{ parameters.name }}": [{"deep": [3, 7, None, True]}]}


def test_rendering_leaves_the_template_and_the_context_as_they_were():
    given = {"tags": "${{ parameters.tags }}"}
    rendered = render(given, CONTEXT, "here")
    rendered["tags"].append("c")
    assert CONTEXT["parameters"]["tags"] == ["a", "b"]
    assert given == {"tags": "${{ parameters.tags }}"}


def test_an_undefined_name_names_the_place_the_expression_and_the_problem():
    with pytest.raises(UndefinedValueError) as caught:
        render({"repo": ["${{ nmae }}"]}, CONTEXT, "steps[1].input")
    assert caught.value.message == "steps[1].input.repo[0]: ${{ nmae }}: 'nmae' is undefined."
    assert caught.value.code == "VALIDATION_ERROR"


def test_an_undefined_part_says_what_there_is_instead():
    assert "'repoUlr' is undefined; there is repoUrl." in problem("steps['create-repo'].output.repoUlr")


@pytest.mark.parametrize(
    "expression",
    ["parameters.nmae", "parameters.nmae.deeper.still", "'x' ~ parameters.nmae", "[parameters.nmae]", "steps.x.output.y",
     "parameters.nmae | upper", "parameters.nmae | parseRepoUrl", "parameters.nmae == 1", "not parameters.nmae",
     "{'a': parameters.nmae}", "parameters.nmae()", "'x' if false", "parameters.tags[7]"],
)  # fmt: skip
def test_nothing_undefined_ever_becomes_a_value(expression):
    with pytest.raises(UndefinedValueError):
        value(expression)


def test_an_undefined_value_in_a_text_is_an_error_too():
    with pytest.raises(UndefinedValueError, match=r"\$\{\{ parameters\.nmae \}\}"):
        render("a ${{ parameters.name }} b ${{ parameters.nmae }}", CONTEXT, "here")


def test_an_author_can_ask_for_a_default():
    assert value("parameters.nmae | default('x')") == "x"
    assert value("steps['gone'].output.deeper | default('x')") == "x"
    assert value("parameters.nmae is defined") is False


def test_a_parameter_wins_over_a_method_of_its_name():
    assert value("parameters.items") == "a key, not a method"


# --- if


@pytest.mark.parametrize("condition", [False, "", "false", " false\n", "${{ false }}", "${{ null }}", "${{ 0 }}",
                                       "${{ 0.0 }}", "${{ [] }}", "${{ '' }}", "${{ 'false' }}",
                                       "${{ parameters.nothing }}", " ${{ not parameters.review }} "])  # fmt: skip
def test_these_conditions_are_false(condition):
    assert evaluate_condition(condition, CONTEXT, "steps[0].if") is False


@pytest.mark.parametrize("condition", [None, True, "true", "${{ true }}", "${{ 1 }}", "${{ 'no' }}", "${{ [0] }}",
                                       "${{ {} }}", "${{ parameters.review }}", "x"])  # fmt: skip
def test_these_conditions_are_true(condition):
    assert evaluate_condition(condition, CONTEXT, "steps[0].if") is True


def test_a_condition_that_cannot_be_evaluated_is_an_error():
    with pytest.raises(ValidationError, match=r"steps\[0\]\.if: .*'nmae' is undefined"):
        evaluate_condition("${{ nmae }}", CONTEXT, "steps[0].if")


# --- filters of the format


def test_parse_repo_url_takes_a_repository_address_apart():
    assert value("parameters.repoUrl | parseRepoUrl") == {"host": "github.com", "owner": "acme", "repo": "orders"}
    assert value("'dev.azure.com:8443?organization=o&project=p&repo=r' | parseRepoUrl") == {
        "host": "dev.azure.com:8443",
        "organization": "o",
        "project": "p",
        "repo": "r",
    }


@pytest.mark.parametrize(
    ("address", "missing"),
    [("github.com?owner=acme", "repo"), ("github.com?repo=x", "owner"), ("?owner=a&repo=b", "host")],
)
def test_parse_repo_url_says_what_is_missing(address, missing):
    assert f"found no {missing}" in problem(f"'{address}' | parseRepoUrl")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("'component:default/x' | parseEntityRef", ("component", "default", "x")),
        ("'group:techdocs' | parseEntityRef", ("group", "default", "techdocs")),
        (
            "'techdocs' | parseEntityRef({defaultKind: 'group', defaultNamespace: 'other'})",
            ("group", "other", "techdocs"),
        ),
        ("'ns/x' | parseEntityRef({'defaultKind': 'group'})", ("group", "ns", "x")),
    ],
)
def test_parse_entity_ref_takes_a_reference_apart(expression, expected):
    assert value(expression) == dict(zip(("kind", "namespace", "name"), expected, strict=True))


def test_parse_entity_ref_needs_a_kind():
    assert "found no kind" in problem("'techdocs' | parseEntityRef")


def test_pick_project_slug_and_dump():
    assert value("'group:techdocs' | parseEntityRef | pick('name')") == "techdocs"
    assert value("parameters.repoUrl | projectSlug") == "acme/orders"
    assert value("parameters.db | dump") == '{"size": 10}'
    assert value("parameters.tags | dump(2)") == '[\n  "a",\n  "b"\n]'


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("parameters.tags | join(', ')", "a, b"),
        ("parameters.tags | map('upper')", ["A", "B"]),
        ("parameters.name | replace('o', '0') | upper", "0RDERS"),
        ("parameters.name.split('d')", ["or", "ers"]),
        ("parameters.name.replace('o', '0', 1)", "0rders"),
        ("'-'.join(parameters.tags)", "a-b"),
        ("parameters.tags.length + parameters.name.length", 8),
        ("'a\nb' | indent(2)", "a\n  b"),
        ("2.25 | round(1)", 2.2),
        ("[1, 2, 3] | sum", 6),
        ("[{'n': 1}, {'n': 2}] | selectattr('n', 'equalto', 2) | map(attribute='n') | first", 2),
        ("'<b>' | safe", "<b>"),
        ("parameters.name ~ '-' ~ parameters.count", "orders-3"),
        ("'a' if parameters.review else 'b'", "a"),
        ("parameters.db.get('colour', 'blue')", "blue"),
    ],
)
def test_the_harmless_part_of_jinja_works(expression, expected):
    assert value(expression) == expected


# --- hostile authors


@pytest.mark.parametrize("expression", attacks.REACHING)
def test_an_expression_reaches_nothing_but_values(expression):
    with pytest.raises(ExpressionError):
        value(expression)
    assert CONTEXT["parameters"]["tags"] == ["a", "b"]


@pytest.mark.parametrize("expression", attacks.GREEDY)
def test_an_expression_that_asks_for_too_much_is_stopped_at_once(expression):
    began = time.thread_time()
    assert problem(expression, **attacks.LARGE).startswith("steps[1].input.repo: ")
    assert time.thread_time() - began < 2.5


def test_many_large_values_do_not_add_up():
    given = {str(number): "${{ big }}" for number in range(100)}
    with pytest.raises(ValidationError, match="larger than"):
        render(given, {"big": "x" * 200_000}, "here")


def test_a_value_that_is_nested_too_deeply_is_refused():
    given: list = []
    for _ in range(100):
        given = [given]
    with pytest.raises(ValidationError, match="nested deeper"):
        render(given, CONTEXT, "here")


@pytest.mark.parametrize(
    "expression", ["parameters.name.upper", "range", "{1: 2}", "self", r"'\ud800'", r"{'\udfff': 1}"]
)
def test_what_is_no_json_value_is_refused(expression):
    with pytest.raises(ExpressionError):
        value(expression)


@pytest.mark.parametrize("expression", ["", "1 +", "parameters.", "a b", "'open", "if", "x | ", "}"])
def test_a_syntax_error_is_reported_and_not_raised_as_pythons_own(expression):
    assert problem(expression).startswith("steps[1].input.repo: ")


def test_a_text_that_is_too_long_is_not_taken_apart():
    with pytest.raises(ExpressionError, match="at most 256,000 characters"):
        render("${{ 1 }}" * 50_000, CONTEXT, "here")


def test_a_filter_of_texts_takes_another_value_as_it_is_written_in_a_text():
    assert value("parameters.db | upper") == '{"SIZE": 10}'
    assert value("true | capitalize") == "True"
    assert value("{'a b': 'c/d'} | urlencode") == "a+b=c%2Fd"
    assert value("'--a-' | trim('-')") == value("'--a-'.strip('-')") == "a"


def test_whatever_is_written_as_an_expression_only_ever_raises_our_own_error():
    refused = 0
    assert len(set(attacks.MADE)) > 500
    for expression in attacks.MADE:
        text = f"${{{{ {expression} }}}}"
        assert isinstance(references(text), tuple)
        for attempt in (
            lambda text=text: render(text, CONTEXT, "here"),
            lambda text=text: render_file(text, CONTEXT, "f"),
        ):
            try:
                json.dumps(attempt(), ensure_ascii=False, allow_nan=False).encode()
            except ExpressionError:
                refused += 1
    assert refused > 300


def test_no_error_repeats_a_value():
    context = {**CONTEXT, "secrets": {"token": "s3cret-value"}}
    for expression in ("secrets.token + 1", "secrets.token | parseRepoUrl", "secrets.token.nope", "secrets.nope",
                       "secrets.token | parseEntityRef", "secrets.token.split('')", "1 / (secrets.token | length - 12)",
                       "numbers[secrets.token]", "secrets.token * 10 ** 9", "secrets.token | pick('x')",
                       "{secrets.token: 1}.nope", "'' | upper(**{secrets.token: 1})", "[1] | map(secrets.token) | list",
                       "[1] | select(secrets.token) | list", "[[1]] | map('map', secrets.token) | list",
                       "numbers | sort(**{secrets.token: 1})", "secrets.token | odd",
                       "secrets.token is odd", "'a' | truncate(secrets.token)", "range(secrets.token)"):  # fmt: skip
        assert "s3cret" not in problem(expression, secrets=context["secrets"], numbers=[])


# --- skeleton files


def test_a_skeleton_file_is_rendered_with_blocks_and_keeps_its_last_newline():
    text = (
        "# ${{ values.name }}\n{% if values.docs %}docs\n{% endif %}{% for tag in values.tags %}- ${{ tag }}\n{% endfor %}"
        "{% set x = 1 %}${{ x }}\n"
    )
    context = {"values": {"name": "orders", "docs": True, "tags": ["a", "b"]}}
    assert render_file(text, context, "README.md") == "# orders\ndocs\n- a\n- b\n1\n"


def test_the_loop_of_a_skeleton_file_knows_where_it_is_and_goes_through_pairs():
    text = "{% for key, value in values %}${{ loop.index }}/${{ loop.length }} ${{ key }}=${{ value }};{% endfor %}"
    assert render_file(text, {"values": {"a": 1, "b": True}}, "f") == "1/2 a=1;2/2 b=true;"


def test_windows_line_ends_of_a_skeleton_file_stay():
    assert render_file("a\r\n${{ values.x }}\r\n", {"values": {"x": 1}}, "f") == "a\r\n1\r\n"


def test_a_skeleton_file_without_expressions_is_left_alone():
    text = "{{ helm }} }} $x\r\n mixed \n"
    assert render_file(text, {}, "f") == text


def test_a_workflow_of_github_actions_needs_raw():
    workflow = "name: ${{ values.name }}\nref: {% raw %}${{ github.ref }}{% endraw %}\n"
    assert render_file(workflow, {"values": {"name": "x"}}, "ci.yml") == "name: x\nref: ${{ github.ref }}\n"
    with pytest.raises(ValidationError, match=r"ci\.yml, line 2: ref: \$\{\{ github\.ref \}\}: 'github' is undefined"):
        render_file("a\nref: ${{ github.ref }}\n", {"values": {}}, "ci.yml")


def test_a_syntax_error_in_a_skeleton_file_names_its_line():
    with pytest.raises(ValidationError, match="f, line 2: "):
        render_file("a\n{% if %}\n", {}, "f")


@pytest.mark.parametrize("text", attacks.FILES)
def test_a_hostile_skeleton_file_is_stopped_at_once(text):
    began = time.thread_time()
    with pytest.raises(ValidationError):
        render_file(text, {"values": {"many": list(range(1000)), "big": "x" * 100_000}}, "f")
    assert time.thread_time() - began < 3


# --- what is known at load


def test_references_find_what_an_expression_names():
    (first, second) = references("a ${{ parameters.x + steps['a-b'].output.y }} ${{ steps.c.output[parameters['z']] }}")
    assert first.expression == "${{ parameters.x + steps['a-b'].output.y }}"
    assert (first.names, first.parameters, first.steps) == ({"parameters", "steps"}, {"x"}, {"a-b"})
    assert (second.parameters, second.steps) == ({"z"}, {"c"})


def test_references_read_an_expression_without_running_it():
    began = time.thread_time()
    (found,) = references("${{ 'a' * 10 ** 10 }}")
    assert not found.problems
    assert time.thread_time() - began < 1


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("${{ 1 + }}", "unexpected"),
        ("${{ x", "not closed"),
        ("${{ x | nope }}", "there is no filter 'nope'"),
        ("${{ x is nope }}", "there is no test 'nope'"),
        ("${{ ''.__class__ }}", "'__class__' cannot be used"),
        ("${{ steps.a.result }}", "a step has only 'output'"),
        ("${{ " + "(" * 3000 + " }}", "unexpected"),
    ],
)
def test_references_say_what_is_wrong_with_an_expression(text, part):
    (found,) = references(text)
    assert part in " ".join(found.problems)
