"""A host's layout that is missing, lacks a block, or fails: said by the doctor, and never a bare 500."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from jinja2 import DictLoader

from portal_actions_plugin.doctor.examination import examine
from portal_actions_plugin.doctor.findings import Finding
from tests.support.people import Person

WHOLE = "<title>{% block title %}{% endblock %}</title>{% block head %}{% endblock %}{% block content %}{% endblock %}"


def with_layouts(make_app: Callable[..., Flask], **layouts: str) -> Flask:
    """A portal whose pages extend ``theirs``."""
    app = make_app(PORTAL_ACTIONS_BASE_TEMPLATE="theirs", TESTING=False, PROPAGATE_EXCEPTIONS=False)
    app.jinja_loader = DictLoader(layouts)
    return app


def found(app: Flask) -> list[Finding]:
    with app.app_context():
        return [finding for finding in examine() if finding.part == "layout"]


@pytest.mark.fault("A6")
@pytest.mark.parametrize(
    ("layouts", "says"),
    [
        ({}, "no page can be shown: theirs: TemplateNotFound"),
        ({"theirs": "{% block"}, "no page can be shown: theirs: TemplateSyntaxError"),
        ({"theirs": WHOLE.replace("head", "top")}, "theirs has no block head, also not in what it extends"),
        ({"theirs": "{% extends 'base' %}", "base": WHOLE.replace("content", "body")}, "no block content"),
        ({"theirs": "{% extends 'theirs' %}"}, "or itself"),
        ({"theirs": "{% extends 'gone' %}"}, "TemplateNotFound: gone"),
    ],
)
def test_the_doctor_says_what_a_layout_lacks(
    make_app: Callable[..., Flask], layouts: dict[str, str], says: str
) -> None:
    [finding] = found(with_layouts(make_app, **layouts))
    assert finding.level == "critical"
    assert says in finding.message
    assert "PORTAL_ACTIONS_BASE_TEMPLATE" in str(finding.mend)


@pytest.mark.parametrize(
    "layouts",
    [
        {"theirs": WHOLE},
        {"theirs": "{% extends 'base' %}{% block head %}<link>{{ super() }}{% endblock %}", "base": WHOLE},
        {"theirs": "{% extends chosen %}"},
    ],
)
def test_the_doctor_is_content_with_blocks_along_what_a_layout_extends(
    make_app: Callable[..., Flask], layouts: dict[str, str]
) -> None:
    assert {finding.level for finding in found(with_layouts(make_app, **layouts))} == {"ok"}


def test_our_own_layout_has_all_blocks(app: Flask) -> None:
    assert {finding.level for finding in found(app)} == {"ok"}


@pytest.mark.fault("A6")
@pytest.mark.parametrize("layouts", [{}, {"theirs": WHOLE + "{{ theirs.own }}"}], ids=["missing", "fails"])
def test_an_error_is_shown_in_our_own_layout_where_the_hosts_cannot_be(
    make_app: Callable[..., Flask], layouts: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    app = with_layouts(make_app, **layouts)
    for path, status in (("/actions", 500), ("/templates/runs/nope", 404)):
        answer = Person(app.test_client(), "ada").get(path)
        assert answer.status_code == status
        assert "pa-top" in answer.text
        assert "Something went wrong" in answer.text or "Not found" in answer.text
    assert "the host's layout cannot be shown: theirs" in caplog.text
