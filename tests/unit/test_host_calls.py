"""Filters and globals of a host in expressions of both readings: checked, bounded, and never telling a value."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal_actions_plugin import PortalActions
from portal_actions_plugin.errors import ConfigurationError, ValidationError
from portal_actions_plugin.extension import extension
from portal_actions_plugin.software_templates.expressions.rendering import ExpressionError, render_file
from portal_actions_plugin.software_templates.languages import LANGUAGES
from portal_actions_plugin.software_templates.readings import Reading

CONTEXT: dict[str, Any] = {"parameters": {"name": "ada", "tags": ["a", "b"]}, "steps": {}, "user": {}}


def boom(*_given: object) -> object:
    raise KeyError("correct-horse-battery")


def spoil(tags: list[object]) -> object:
    tags.append("spoiled")
    return tags


FILTERS: dict[str, Callable[..., Any]] = {
    "shout": lambda value, times=1: str(value).upper() + "!" * times,
    "upper": lambda value: f"mine {value}",
    "boom": boom,
    "when": lambda _value: datetime.date(2026, 1, 2),
    "huge": lambda _value: "x" * 300_000,
    "deep": lambda value: [[value]],
    "spoil": spoil,
}
GLOBALS: dict[str, Any] = {
    "hello": lambda name: {"said": f"hi {name}"},
    "tenant": {"name": "acme", "list": ["a"]},
    "boom": boom,
}


@pytest.fixture(params=list(Reading), ids=lambda one: one.name)
def value(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    app = Flask(__name__, instance_path=str(tmp_path))
    plugin = PortalActions(app)
    plugin.of(app).template_filters(lambda: FILTERS)
    plugin.of(app).template_globals(lambda: GLOBALS)
    with app.app_context():
        yield lambda text: LANGUAGES[request.param].value(text, CONTEXT, "here")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${{ parameters.name | shout }}", "ADA!"),
        ("${{ parameters.name | shout(2) | lower }} x", "ada!! x"),
        ("${{ parameters.tags | deep }}", [[["a", "b"]]]),
        ("${{ hello(parameters.name).said }}", "hi ada"),
        ("${{ tenant.name }}-${{ tenant['name'] }}", "acme-acme"),
    ],
)
def test_what_a_host_gives_can_be_used_in_both_readings(value: Callable[[str], Any], text: str, expected: Any) -> None:
    assert value(text) == expected


@pytest.mark.parametrize("call", ["list.push('x')", "list['pu' ~ 'sh']('x')"])
def test_no_template_changes_what_a_host_gives(value: Callable[[str], Any], call: str) -> None:
    with contextlib.suppress(ValidationError):
        value(f"${{{{ tenant.{call} }}}}")
    assert value("${{ tenant }}") == {"name": "acme", "list": ["a"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${{ parameters.name | boom }}", "the portal's filter 'boom' failed with KeyError"),
        ("${{ boom() }}", "the portal's function 'boom' failed with KeyError"),
        ("${{ parameters.name | when }}", "it gives a date, which is no JSON value"),
        ("${{ parameters.name | huge }}", "larger than 256,000"),
    ],
)
def test_what_fails_in_a_hosts_function_is_an_error_without_a_value(
    value: Callable[[str], Any], text: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ExpressionError) as caught:
        value(text)
    assert said in caught.value.message
    assert "correct-horse-battery" not in caught.value.message + caplog.text


def test_a_hosts_function_gets_copies(value: Callable[[str], Any]) -> None:
    assert value("${{ parameters.tags | spoil }}") == ["a", "b", "spoiled"]
    assert CONTEXT["parameters"]["tags"] == ["a", "b"]


def test_a_filter_takes_the_place_of_one_that_is_there_as_at_home_and_not_in_ours(value: Callable[[str], Any]) -> None:
    assert value("${{ 'a' | upper }}") in {"mine a", "A"}
    assert LANGUAGES[Reading.BACKSTAGE].value("${{ 'a' | upper }}", CONTEXT, "here") == "mine a"
    assert LANGUAGES[Reading.STRICT].value("${{ 'a' | upper }}", CONTEXT, "here") == "A"


def test_files_of_a_skeleton_have_them_as_well(value: Callable[[str], Any]) -> None:
    assert render_file("${{ values.a | shout }} ${{ tenant.name }}", {"values": {"a": "x"}}, "f") == "X! acme"


def test_what_is_known_at_load_follows_the_hooks(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(
        "apiVersion: portal-actions/v1\nkind: Template\nmetadata: {name: t}\n"
        "spec: {steps: [{action: debug.log@v1, input: {message: \"${{ 'a' | shout }}${{ hello('b') | dump }}\"}}]}\n"
    )
    app = Flask(__name__, instance_path=str(tmp_path))
    app.config["PORTAL_ACTIONS_TEMPLATE_PATH"] = [str(tmp_path)]
    plugin = PortalActions(app)
    with app.app_context():
        said = " ".join(one.message for one in extension().templates.list().problems)
        assert "there is no filter 'shout'" in said
        assert "there is no function 'hello'" in said
        plugin.of(app).template_filters(FILTERS)
        plugin.of(app).template_globals(GLOBALS)
        assert [one.name for one in extension().templates.list().templates] == ["t"]


@pytest.mark.parametrize(
    ("filters", "others", "said"),
    [
        (lambda: {"a b": len}, None, "names 'a b' in template_filters"),
        (lambda: {"__proto__": len}, None, "names '__proto__'"),
        (lambda: {"a": 1}, None, "The filter a of"),
        (lambda: [len], None, "instead of a mapping by name"),
        (boom, None, "failed: KeyError"),
        (None, lambda: {"steps": len}, "a name that templates have already"),
        (None, lambda: {"secrets": {}}, "a name that templates have already"),
        (None, lambda: {"a": datetime.date(2026, 1, 2)}, "neither a function nor JSON"),
    ],
)
def test_a_hook_that_gives_something_else_is_said(tmp_path: Path, filters: Any, others: Any, said: str) -> None:
    app = Flask(__name__, instance_path=str(tmp_path))
    plugin = PortalActions(app)
    if filters:
        plugin.of(app).template_filters(filters)
    if others:
        plugin.of(app).template_globals(others)
    with app.app_context(), pytest.raises(ConfigurationError, match=said):
        extension().template_calls  # noqa: B018 looked up at each call


def test_the_time_is_a_filter_in_both_readings(value: Callable[[str], Any]) -> None:
    assert value("${{ '' | now }}") > 1_700_000_000_000


def test_two_apps_have_their_own(tmp_path: Path) -> None:
    apps = [Flask(f"app{number}", instance_path=str(tmp_path)) for number in range(2)]
    for app in apps:
        plugin = PortalActions(app)
        if app is apps[0]:
            plugin.of(app).template_filters(FILTERS)
    text = "${{ 'same text' | shout }}"
    for reading in Reading:
        with apps[0].app_context():
            assert LANGUAGES[reading].value(text, CONTEXT, "here") == "SAME TEXT!"
    with apps[1].app_context():
        assert LANGUAGES[Reading.BACKSTAGE].value(text, CONTEXT, "here") == text
        with pytest.raises(ValidationError):
            LANGUAGES[Reading.STRICT].value(text, CONTEXT, "here")


@pytest.mark.parametrize("text", ["${{ 'a' | shout(times=2) }}", "${{ hello(name='a') }}"])
def test_what_a_host_gives_takes_nothing_by_name(value: Callable[[str], Any], text: str) -> None:
    said = ""
    try:
        said = str(value(text))
    except ExpressionError as error:
        said = error.message
    assert "it takes nothing by name" in said or said == text  # as at home, where it stays as it is written
