"""The API's reference for people: in the host's layout, by name, and each line for curl does what it says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask
from jinja2 import DictLoader

from tests.support import page_html
from tests.support.people import Person

DOCS = "/api/v1/docs"
LAYOUT = "<title>{% block title %}{% endblock %}</title>{% block head %}{% endblock %}Theirs {{ of }}{% block content %}{% endblock %}"


def with_layout(make_app: Callable[..., Flask], layout: str) -> Flask:
    app = make_app(PORTAL_ACTIONS_BASE_TEMPLATE="theirs")
    app.jinja_loader = DictLoader({"theirs": layout})
    return app


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    app = make_app()
    with app.app_context():
        yield app


@pytest.fixture
def text(app: Flask) -> str:
    return app.test_client().get(DOCS).text


@pytest.mark.fault("E29")
def test_it_shows_every_operation_by_name_and_needs_no_identity(app: Flask) -> None:
    nobody = app.test_client()
    answer = nobody.get(DOCS)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    page = page_html.read(answer.text)
    spec = nobody.get("/api/v1/openapi.json").json
    operations = {
        operation["operationId"]: (method.upper(), path, operation["summary"])
        for path, item in spec["paths"].items()
        for method, operation in item.items()
        if method in ("get", "post")
    }
    places = {element.attributes["id"]: element for element in page.all() if "id" in element.attributes}
    assert operations.keys() <= places.keys()
    for name, (method, path, summary) in operations.items():
        section = places[name]
        assert section.all("h3")[0].text.split() == [name, *summary.replace("`", "").split()]
        assert [part.text for part in section.all(class_="pa-route")] == [f"{method} {path}"]
    links = [link[1:] for link in page.links().values() if link.startswith("#")]
    assert set(links) <= places.keys()
    contents = page.one("nav", aria_label="Operations")
    assert operations.keys() <= {link[1:] for link in contents.links().values()}


@pytest.mark.fault("E29")
def test_what_all_answers_have_is_said_once(app: Flask, text: str) -> None:
    for header in app.test_client().get("/api/v1/openapi.json").json["components"]["headers"]:
        if header in ("ETag", "Location", "Retry-After", "Retry-After-If-Known"):
            continue  # descriptions name these
        assert text.count(header) == 1, header
    assert text.count("Too many starts; Retry-After says") == 1


def curls(text: str) -> Iterator[tuple[str, list[str]]]:
    for element in page_html.read(text).all("pre"):
        if element.attributes.get("id", "").endswith("-curl"):
            line = element.text.replace("$(uuidgen)", "one-key").replace("$TOKEN", "ada")
            yield element.attributes["id"].removesuffix("-curl"), shlex.split(line.replace("\\ ", " "))


@pytest.mark.fault("E29")
def test_each_line_for_curl_is_a_request_that_the_api_reads(app: Flask, text: str) -> None:
    client, answers = app.test_client(), {}
    for name, words in curls(text):
        assert words[0] == "curl"
        sent: dict[str, Any] = {"method": "GET", "headers": {}}
        for flag, value in pairwise(words):
            if flag == "-X":
                sent["method"] = value
            elif flag == "-H":
                key, _, said = value.partition(": ")
                sent["headers"][key] = said
            elif flag == "-d":
                sent["data"] = value
        [url] = [word for word in words if word.startswith("http://localhost/")]
        answers[name] = client.open(url.removeprefix("http://localhost"), **sent)
        # Runs and templates of the examples are not here: that is all that may be wrong with a line.
        assert answers[name].status_code in (200, 202, 403, 404, 503), (name, answers[name].text)
        assert ("Idempotency-Key" in sent["headers"]) == name.startswith(("start_", "retry_", "resume_"))
    assert answers["start_action_run"].status_code == 202
    assert answers["list_templates"].status_code == 200
    assert answers["list_audit"].status_code == 403


@pytest.mark.fault("E29")
def test_it_is_in_the_hosts_layout_and_a_layout_that_fails_is_replaced(make_app: Callable[..., Flask]) -> None:
    assert "Theirs" in with_layout(make_app, LAYOUT).test_client().get(DOCS).text
    answer = with_layout(make_app, "{{ current_user.name.first }}" + LAYOUT).test_client().get(DOCS)
    assert answer.status_code == 200
    assert "start_template_run" in answer.text


@pytest.mark.fault("E29")
def test_the_list_of_runs_leads_to_it(ada: Person) -> None:
    assert re.search(rf'<a [^>]*href="{DOCS}">API</a>', ada.get("/actions").text)
