"""The demo portal's form: it sends what its page showed, shows what a choice asks for, and keeps what was typed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.datastructures import MultiDict

from demo_portal import forms, seed
from portal_actions_plugin.runs.reading import queries
from portal_actions_plugin.software_templates.spec import Template
from tests.support.demo_browser import Browser, close, make, sent_by

HEAD = """\
apiVersion: portal-actions/v1
kind: Template
metadata: {{name: {name}, title: The {name} one}}
spec:
  steps:
    - {{id: say, action: debug.log@v1, input: {{message: hello}}}}
  parameters:
"""
ALL_KINDS = """\
    - title: Page one
      required: [name, kind]
      ui:order: [kind, name, '*']
      properties:
        name: {type: string, title: Name, ui:autofocus: true, ui:placeholder: my-service, ui:help: In small letters}
        kind: {type: string, title: Kind, enum: [a, b], enumNames: [Alpha one, Beta two], ui:widget: radio}
        hid: {type: string, ui:widget: hidden, default: fixed}
        fixed: {type: string, const: always}
        opt: {type: string, enum: [x, y]}
        num: {type: integer, minimum: 1, maximum: 5, default: 3}
        share: {type: number}
        agree: {type: boolean, default: true, title: Agree, description: Do you agree}
        rad: {type: boolean, ui:widget: radio}
        area: {type: string, ui:widget: textarea, ui:options: {rows: 10}}
        tags: {type: array, items: {type: string}, default: [p, q]}
        picks: {type: array, uniqueItems: true, items: {type: string, enum: [r, s, t]}, ui:widget: checkboxes}
        nums: {type: array, items: {type: integer}}
        objs: {type: array, title: Objects, items: {type: object, required: [k], properties: {k: {type: string}, v: {type: integer}}}}
        nested: {type: object, title: Nested, properties: {x: {type: string, title: X}, y: {type: boolean}}, required: [x]}
        one: {type: string, oneOf: [{const: m, title: Em}, {const: n, title: En}]}
        date: {type: string, format: date}
        mail: {type: string, format: email}
        many: {type: string, minLength: 2}
        any: {type: object}
        token: {type: string, ui:field: Secret, minLength: 4}
    - title: Page two
      properties:
        host: {type: string, enum: [gh, gl], default: gh}
      dependencies:
        host:
          oneOf:
            - properties: {host: {enum: [gh]}, org: {type: string, title: Organisation, default: acme}}
              required: [org]
            - properties: {host: {enum: [gl]}, group: {type: string, title: Group}}
              required: [group]
"""
CLEARED = """\
    properties:
      t: {type: string, default: dd}
      p: {type: string, default: dd, pattern: '^d'}
      n: {type: integer, default: 3}
      l: {type: array, items: {type: string}, default: [p, q]}
      m: {type: array, items: {type: string, enum: [a, b]}, default: [a]}
      e: {type: string, enum: [x, y], default: x}
      b: {type: boolean, default: true}
"""
NEEDED = """\
    required: [t, l]
    properties:
      t: {type: string, default: dd}
      l: {type: array, minItems: 1, items: {type: string}, default: [p]}
"""
PAGED = """\
    - title: What it is
      properties:
        kind: {type: string, title: Kind, enum: [lib, web], enumNames: [A library, A service on the web], default: lib, ui:widget: radio}
    - title: Where it runs
      description: Only what runs somewhere has a place.
      when: ${{ parameters.kind == 'web' }}
      required: [place]
      ui:order: [place, size, '*']
      properties:
        size: {type: string, title: Size, enum: [s, m], enumNames: [Small, Medium], default: s, ui:help: You can change it later}
        place: {type: string, title: Place}
  presentation: {buttonLabels: {createButtonText: Order it, backButtonText: Back}}
"""
FORM, OTHER = "/templates/kinds", "/templates/cleared"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("form")
    for name, parameters in (("kinds", ALL_KINDS), ("cleared", CLEARED), ("needed", NEEDED), ("paged", PAGED)):
        (folder / f"{name}.yaml").write_text(HEAD.format(name=name) + parameters)
    settings = {"PORTAL_ACTIONS_TEMPLATE_PATH": [str(folder)], "PORTAL_ACTIONS_RATE_LIMIT": "1000 per minute"}
    # Nobody has to be woken up: what is looked at is what was accepted.
    app = make(folder / "portal", f"unix://{folder}/none", **settings)
    with app.app_context():
        seed.create_tables(app)
    yield app
    close(app)


@pytest.fixture
def ada(app: Flask) -> Browser:
    return Browser(app, "ada")


def fill(browser: Browser, path: str, **fields: Any) -> dict[str, Any]:
    """What the form of the page that somebody sees sends, once they have filled in some of it."""
    return {**sent_by(browser.answer.text, path), **{f"input-{name}": value for name, value in fields.items()}}


def send(browser: Browser, path: str, **fields: Any) -> str:
    sent = fill(browser, path, **fields)
    return press(browser, path, sent)


def press(browser: Browser, path: str, sent: dict[str, Any]) -> str:
    browser.answer = browser.client.post(path, data=sent, follow_redirects=True)
    return browser._page()


def inputs_of(app: Flask, browser: Browser) -> dict[str, Any]:
    assert browser.path.startswith("/templates/runs/"), browser.page
    with app.app_context():
        return dict(queries.template_run(browser.path.rpartition("/")[2]).inputs)


def runs(app: Flask) -> int:
    with app.app_context():
        return sum(queries.active_counts().values())


# -- what it shows -----------------------------------------------------------------------------------------------------


def test_each_parameter_has_the_control_the_order_and_the_words_that_its_schema_asks_for(ada: Browser) -> None:
    page = ada.get(FORM)
    labels = re.findall(r'<label for="input-([^"]+)">|<legend>([A-Z]\w+)', page)
    assert [one or other for one, other in labels][:4] == ["Page", "Kind", "name", "fixed"]
    assert re.search(r'<input type="radio" name="input-kind" value="a" required> Alpha one', page)
    assert '<option value="m">Em</option>' in page
    assert "input-hid" not in page
    assert re.search(r'value="always" readonly[^>]* id="input-fixed"', page)
    for kind, name in (("date", "date"), ("email", "mail"), ("number", "num"), ("password", "token"), ("text", "many")):
        assert re.search(rf'<input type="{kind}" [^>]*id="input-{name}"', page), name
    assert re.search(r'<textarea id="input-area" [^>]*rows="10"', page)
    assert re.search(r'id="input-name" [^>]*required autofocus aria-describedby="input-name-help"', page)
    assert re.search(r'<fieldset class="inner" id="input-nested"', page)
    assert "Page two" in page


def test_the_branch_of_a_choice_is_shown_after_a_step_and_nothing_is_started(app: Flask, ada: Browser) -> None:
    before = runs(app)
    page = ada.get(FORM)
    assert "Organisation" in page
    sent = fill(ada, FORM, host="gl", name="kept", token="s3cret")
    page = press(ada, FORM, {**sent, "step": "show"})
    assert ada.answer.status_code == 200
    assert '<label for="input-group">Group' in page
    assert "Organisation" not in page
    assert 'value="kept"' in page
    assert "s3cret" not in page
    assert runs(app) == before


def test_start_with_a_choice_whose_fields_were_not_shown_shows_them_first(app: Flask, ada: Browser) -> None:
    ada.get(FORM)
    page = send(ada, FORM, host="gl", name="kept", kind="a")
    assert ada.answer.status_code == 422
    assert "What you chose asks for more" in page
    page = send(ada, FORM, group="platform")
    assert {"host": "gl", "group": "platform"}.items() <= inputs_of(app, ada).items()
    assert "org" not in inputs_of(app, ada)


def test_rows_come_and_go_without_a_script(app: Flask, ada: Browser) -> None:
    ada.get(FORM)
    for _ in range(3):
        press(ada, FORM, {**fill(ada, FORM, name="a", kind="a"), "step": "add:input-objs"})
    typed = {"objs.0.k": "zero", "objs.1.k": "one", "objs.2.k": "two", "objs.2.v": "2"}
    page = press(ada, FORM, {**fill(ada, FORM, **typed), "step": "remove:input-objs.1"})
    assert re.search(r'<label for="input-objs.1.k">', page)
    assert "input-objs.2" not in page
    send(ada, FORM)
    assert inputs_of(app, ada)["objs"] == [{"k": "zero"}, {"k": "two", "v": 2}]


# -- what it sends -----------------------------------------------------------------------------------------------------


def test_a_form_sends_what_its_page_showed(app: Flask, ada: Browser) -> None:
    ada.get(FORM)
    more = {"num": "4", "share": "0.5", "tags": " one \r\n\r\ntwo", "nums": "1\n20", "picks": ["", "r", "t"],
            "rad": ["", "false"], "one": "n", "nested.x": "deep", "any": '{"a": 1}', "area": "one\r\ntwo"}  # fmt: skip
    send(ada, FORM, name="svc", kind="b", **more)
    assert inputs_of(app, ada) == {
        "name": "svc", "kind": "b", "hid": "fixed", "fixed": "always", "num": 4, "share": 0.5, "agree": True,
        "rad": False, "area": "one\ntwo", "tags": ["one", "two"], "picks": ["r", "t"], "nums": [1, 20], "objs": [],
        "nested": {"x": "deep", "y": False}, "one": "n", "any": {"a": 1}, "host": "gh", "org": "acme",
    }  # fmt: skip


def test_what_was_typed_for_a_branch_that_is_not_chosen_any_more_is_not_sent(app: Flask, ada: Browser) -> None:
    ada.get(FORM)
    press(ada, FORM, {**fill(ada, FORM, host="gl"), "step": "show"})
    send(ada, FORM, name="svc", kind="a", group="g", org="acme")
    assert "org" not in inputs_of(app, ada)


def test_what_a_person_clears_stays_cleared_and_a_retry_has_it_so_too(app: Flask, ada: Browser) -> None:
    ada.get(OTHER)
    sent = fill(ada, OTHER, t="", p="", n="", l="", m="", e="", b="")
    press(ada, OTHER, sent)
    assert inputs_of(app, ada) == {"t": "", "l": [], "m": [], "b": False}
    run = ada.path
    ada.get(run)
    press(ada, f"{run}/cancel", sent_by(ada.answer.text, f"{run}/cancel"))
    ada.get(run)
    press(ada, f"{run}/retry", sent_by(ada.answer.text, f"{run}/retry"))
    assert ada.path != run
    assert inputs_of(app, ada) == {"t": "", "l": [], "m": [], "b": False}


def test_defaults_fill_what_no_page_showed(app: Flask, ada: Browser) -> None:
    ada.get(OTHER)
    ada.send(OTHER)  # the hidden fields only
    assert inputs_of(app, ada) == {"t": "dd", "p": "dd", "n": 3, "l": ["p", "q"], "e": "x", "m": [], "b": False}


def test_over_the_api_inputs_are_as_they_are_sent(app: Flask) -> None:
    given = {"t": "", "l": [], "m": [], "b": False}
    answer = app.test_client().post(
        "/api/v1/templates/cleared/runs", json={"inputs": given}, headers={"Authorization": "Bearer demo-developer"}
    )
    assert answer.json["inputs"] == {**given, "n": 3, "e": "x", "p": "dd"}


def test_what_must_be_there_and_was_cleared_is_refused_beside_its_field(app: Flask, ada: Browser) -> None:
    ada.get("/templates/needed")
    page = send(ada, "/templates/needed", t="", l="")
    assert ada.answer.status_code == 422
    assert '<p class="wrong" id="input-t-error">is required</p>' in page
    assert '<p class="wrong" id="input-l-error">must have at least 1 items</p>' in page


# -- what is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["soon", "true", "NaN", "1,5", "[1]", "1e999", "0x10"])
def test_what_is_no_number_is_told_beside_its_field_and_stays(app: Flask, ada: Browser, typed: str) -> None:
    ada.get(FORM)
    page = send(ada, FORM, name="svc", kind="a", share=typed, token="s3cret", nums=f"7\n{typed}")
    assert ada.answer.status_code == 422
    assert '<p class="wrong" id="input-share-error">must be a number</p>' in page
    assert '<p class="wrong" id="input-nums-error">Item 2: must be a whole number</p>' in page
    shown = re.search(r'<input type="text" value="([^"]*)"[^>]* id="input-share"[^>]*>', page)
    assert shown
    assert shown[1] == typed
    assert 'aria-invalid="true"' in shown[0]
    assert '<a href="#input-share">share</a>: must be a number' in page
    assert "s3cret" not in page


def test_errors_inside_objects_and_rows_are_beside_their_own_fields(ada: Browser) -> None:
    ada.get(FORM)
    press(ada, FORM, {**fill(ada, FORM, name="a", kind="a"), "step": "add:input-objs"})
    page = send(ada, FORM, **{"nested.y": ["", "true"], "objs.0.v": "many"})
    for name, said in (
        ("nested.x", "is required"),
        ("objs.0.k", "is required"),
        ("objs.0.v", "must be a whole number"),
    ):
        assert f'<p class="wrong" id="input-{name}-error">{said}</p>' in page
        assert re.search(rf'<input [^>]*id="input-{name}"[^>]*aria-describedby="input-{name}-error"', page)


def test_an_error_without_a_field_on_the_page_is_in_the_summary(app: Flask) -> None:
    with app.test_request_context():
        template = app.extensions["portal_actions"].templates.get("kinds")
    form = forms.build(template, MultiDict(), {"hid": ["is odd"], "_schema": ["fits none"], "name": ["is required"]})
    assert form.unplaced == ("hid: is odd", "fits none")
    assert [field.key for field in form.wrong()] == ["input-name"]


# -- old tabs ------------------------------------------------------------------------------------------------------------


def test_an_old_token_starts_nothing_and_what_was_typed_is_still_there(app: Flask, ada: Browser) -> None:
    before = runs(app)
    ada.get(FORM)
    sent = fill(ada, FORM, name="kept", kind="b", token="s3cret")
    page = press(ada, FORM, {**sent, "csrf_token": "stale"})
    assert ada.answer.status_code == 400
    assert "This form is too old: you signed in or out since. Nothing was started yet." in page
    assert "type them again" in page
    assert 'value="kept"' in page
    assert "s3cret" not in page
    assert runs(app) == before
    send(ada, FORM)
    assert inputs_of(app, ada)["name"] == "kept"


@pytest.mark.parametrize("how", ["signed out in another tab", "the session is gone"])
def test_who_is_signed_out_finds_what_was_typed_after_signing_in(app: Flask, ada: Browser, how: str) -> None:
    before = runs(app)
    ada.get(FORM)
    sent = fill(ada, FORM, name='to "keep"', kind="b", token="s3cret", picks=["", "r", "t"])
    if how == "the session is gone":
        ada.client.delete_cookie("demo_portal")
    else:
        ada.get("/")
        ada.send("/sign-out")
    page = press(ada, FORM, sent)
    assert ada.answer.status_code == 401
    assert "nothing was done" in page
    assert "Page one" not in page
    assert "s3cret" not in page
    kept = {**sent_by(ada.answer.text, "/sign-in"), "person": "ada"}
    answer = ada.client.post("/sign-in", data=kept)
    assert (answer.status_code, answer.location) == (307, FORM)
    page = press(ada, FORM, kept)  # as a browser does after a 307
    assert ada.answer.status_code == 200
    assert "Nothing was started yet." in page
    assert runs(app) == before
    send(ada, FORM)
    assert {"name": 'to "keep"', "kind": "b", "picks": ["r", "t"]}.items() <= inputs_of(app, ada).items()


def test_what_another_site_sends_is_not_shown_as_if_it_had_been_typed(ada: Browser) -> None:
    ada.get(FORM)
    answer = ada.client.post(FORM, data={"input-name": "theirs"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 400
    assert "theirs" not in answer.text


# -- the parts -----------------------------------------------------------------------------------------------------------


def shown(parameters: dict[str, Any], **typed: Any) -> forms.Form:
    template = Template("t", "T", "", (), "", "", (parameters,), (), {}, (), "1")
    pairs = [(f"input-{name}", one) for name, of in typed.items() for one in (of if isinstance(of, list) else [of])]
    return forms.build(template, MultiDict(pairs))


@pytest.mark.parametrize(
    ("schema", "typed", "read"),
    [
        ({"enum": ["1", 1]}, "1", 1),
        ({"enum": ["1", 1]}, '"1"', "1"),
        ({"enum": [True, None]}, "null", None),
        ({"type": "boolean", "const": True}, ["", "true"], True),
        ({"type": ["string", "null"]}, "x", "x"),
        ({"type": "string"}, "010", "010"),
        ({"type": "integer"}, "010", 10),
        ({"type": "array", "items": {"type": "string"}}, "10\n010", ["10", "010"]),
        ({"type": "array", "items": {"type": "array"}}, "[[1]]", [[1]]),
        ({"type": "object"}, "{wrong", "{wrong"),
        ({"type": "string", "ui:field": "Secret"}, " s3cret ", " s3cret "),
        ({"type": "string"}, "  ", forms.reading.NOTHING),
    ],
)
def test_what_is_typed_becomes_an_input_of_the_right_type(schema: Any, typed: Any, read: Any) -> None:
    found = shown({"properties": {"v": schema}}, v=typed).reading
    assert found.inputs.get("v", forms.reading.NOTHING) == read
    assert type(found.inputs.get("v", forms.reading.NOTHING)) is type(read)


def test_names_with_dots_are_no_places(app: Flask) -> None:
    parameters = {
        "properties": {"a.b": {"type": "string"}, "a": {"type": "object", "properties": {"b": {"type": "string"}}}}
    }
    form = shown(parameters, **{"a~1b": "flat", "a.b": "deep"})
    assert form.reading.inputs == {"a.b": "flat", "a": {"b": "deep"}}


def test_a_page_is_shown_once_its_condition_holds_and_the_button_says_what_its_author_calls_it(app, ada):
    path = "/templates/paged"
    page = ada.get(path)
    assert "Order it</button>" in page
    assert "A service on the web" in page
    assert "Where it runs" not in page
    assert "data-open" in page
    asked = send(ada, path, kind="web")
    assert "What you chose asks for more" in asked
    assert asked.index(">Place") < asked.index(">Size")
    assert "Medium" in asked
    assert "You can change it later" in asked
    assert "is required" in send(ada, path, kind="web", place="", size="m")
    assert "Where it runs" not in press(ada, path, {**fill(ada, path, kind="lib", place="left over"), "step": "show"})
    ada.get(path)
    send(ada, path, kind="web")
    send(ada, path, kind="web", place="eu", size="m")
    assert inputs_of(app, ada) == {"kind": "web", "place": "eu", "size": "m"}
