"""Finding the way on our pages: links that are told apart, errors that lead somewhere, and colours that the portal has."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from portal_actions_plugin.errors import ConfigurationError
from portal_actions_plugin.run_types import AuditEntry
from portal_actions_plugin.runs import audit
from portal_actions_plugin.storage.sessions import new_id, transaction
from tests.support.page_html import Element, read
from tests.support.page_rows import AUTH_ERROR, TWO_STEPS, add_action_run, add_log, add_template_run
from tests.support.people import Visitor
from tests.support.portal_day import id_of_age


@pytest.fixture
def portal(make_app: Callable[..., Flask]) -> Iterator[Flask]:
    app = make_app()
    with app.app_context():
        yield app


@pytest.fixture
def ada(portal: Flask) -> Visitor:
    return Visitor(portal, "ada")


def names(page: Element, tag: str) -> list[str]:
    """What a screen reader calls the links or buttons of a page."""
    return [one.attributes.get("aria-label") or one.text for one in page.all(tag)]


# -- colours ---------------------------------------------------------------------------------------------------------


@pytest.mark.fault("E29")
@pytest.mark.parametrize(("scheme", "told"), [("auto", "light dark"), ("light", "light"), ("dark", "dark")])
def test_a_portal_says_which_colours_its_pages_have(make_app: Callable[..., Flask], scheme: str, told: str) -> None:
    app = make_app(PORTAL_ACTIONS_COLOR_SCHEME=scheme)
    for path, status in (("/actions", 200), ("/actions/runs/nothing", 404), ("/api/v1/docs", 200)):
        page = Visitor(app, "ada").see(path, status)
        assert page.one("meta", name="color-scheme").attributes["content"] == told
        assert page.one("div", class_="portal-actions").attributes["class"] == f"portal-actions pa-{scheme}"


@pytest.mark.fault("E29")
@pytest.mark.parametrize("value", ["Light", "", None, ["dark"]])
def test_colours_that_there_are_not_stop_the_start(make_app: Callable[..., Flask], value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"COLOR_SCHEME is .*: it takes auto, light or dark"):
        make_app(PORTAL_ACTIONS_COLOR_SCHEME=value)


# -- links that are told apart ---------------------------------------------------------------------------------------


@pytest.mark.fault("E29")
def test_each_link_and_box_of_the_list_has_a_name_of_its_own(ada: Visitor) -> None:
    for age in range(3):
        steps = {place: {"id": id_of_age(100 + age)} for place in range(2)}
        add_template_run("failed", ("failed", "failed"), **TWO_STEPS, step_values=steps)
        add_action_run("failed", id=id_of_age(100 + age), **AUTH_ERROR)
    page = ada.see("/actions")
    links = [name for name in names(page, "a") if name.startswith("View")]
    assert len(set(links)) == 9
    boxes = [box.attributes["aria-label"] for box in page.all("input", name="run")]
    assert len(set(boxes)) == 9
    assert {link.text for link in page.one("tbody").all("a")} == {"View run →", "View action →"}


@pytest.mark.fault("E29")
def test_each_link_of_the_audit_has_a_name_of_its_own(portal: Flask) -> None:
    with transaction("test") as tx:
        for number in range(3):
            run_id = new_id()
            audit.record(
                tx, AuditEntry("a", "template_run.start", "accepted", f"x{number}", run_id, template_run_id=run_id)
            )
            audit.record(tx, AuditEntry("a", "action_run.start", "accepted", f"x{number}", new_id()))
    links = [name for name in names(Visitor(portal, "margaret").see("/actions/audit"), "a") if name.startswith("View")]
    assert len(set(links)) == 6


@pytest.mark.fault("E29")
def test_links_buttons_and_regions_of_several_steps_are_told_apart(ada: Visitor) -> None:
    values = {"outputs": {"url": "x"}}
    run_id, ids = add_template_run(
        "success", ("success",) * 3, **TWO_STEPS, step_values=dict.fromkeys(range(3), values)
    )
    for one in ids:
        add_log(one, "told")
    page = ada.see(f"/templates/runs/{run_id}")
    for tag in ("a", "button", "summary"):
        found = names(page.one("ol", id="run-steps"), tag)
        assert sorted(found) == sorted(set(found))
    for role in ("region", "group"):
        labels = [one.attributes["aria-label"] for one in page.all(role=role)]
        assert len(set(labels)) == len(labels) == 3


# -- errors that lead somewhere --------------------------------------------------------------------------------------


@pytest.mark.fault("E29")
def test_who_is_not_signed_in_is_told_so_once_and_led_to_nothing_that_refuses_again(portal: Flask) -> None:
    nobody = Visitor(portal, "")
    said = "You are not signed in Sign in to this portal, then open this page again."
    sent = f"{said} Retry"  # what was typed is still there, to be sent once they are signed in
    for page, text in (
        (nobody.see("/actions", 401), said),
        (read(nobody.post("/templates/runs/x/retry").text), sent),
    ):
        inside = page.one("div", class_="portal-actions")
        assert inside.text == text
        assert inside.links() == {}


@pytest.mark.fault("E29")
def test_who_is_signed_out_when_a_form_is_sent_is_led_to_where_they_sign_in(make_app: Callable[..., Flask]) -> None:
    app = make_app(PORTAL_ACTIONS_SIGN_IN_URL="/in")
    answer = Visitor(app, "").post("/templates/runs/x/retry")
    assert answer.status_code == 401
    assert read(answer.text).one("div", class_="portal-actions").links() == {
        "Sign in": "/in?next=%2Ftemplates%2Fruns%2Fx%2Fretry"
    }


@pytest.mark.fault("E29")
def test_who_may_not_read_the_list_is_not_led_to_it(make_app: Callable[..., Flask]) -> None:
    app = make_app(PORTAL_ACTIONS_ROLE_PERMISSIONS={"developer": ["template:read"], "viewer": ["action:read"]})
    assert Visitor(app, "ada").see("/actions", 403).one("div", class_="portal-actions").links() == {}
    assert Visitor(app, "vera").see("/actions/audit", 403).link("All action runs") == "/actions"


def test_a_page_that_failed_can_be_tried_again(portal: Flask, ada: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    from portal_actions_plugin.runs.reading import queries

    portal.config["PROPAGATE_EXCEPTIONS"] = False
    monkeypatch.setattr(queries, "active_counts", lambda: 1 / 0)
    assert ada.see("/actions?status=failed", 500).link("Try again") == "/actions?status=failed"
