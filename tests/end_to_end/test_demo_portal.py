"""The demo portal as a host of the plugin: signed in by cookie and token, from failing rule to merged fix."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask

from demo_portal import forms, seed
from portal_actions_plugin.errors import NotFoundError
from tests.support.demo_browser import Browser, close, make
from tests.support.run_helpers import work_off

ORDERS = "/catalog/component/default/orders"
BEARER = {name: {"Authorization": f"Bearer demo-{name}"} for name in ("developer", "viewer", "admin")}


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory, valkey: Any) -> Path:
    """A data folder as the first start leaves it, but for the first run."""
    folder = tmp_path_factory.mktemp("demo") / "portal"
    app = make(folder, f"unix://{valkey.unix_socket_path}")
    with app.app_context():
        seed.create_tables(app)
        seed.seed()
    close(app)
    return folder


@pytest.fixture
def app(seeded: Path, tmp_path: Path, redis_url: str) -> Iterator[Flask]:
    folder = tmp_path / "portal"
    shutil.copytree(seeded, folder)
    app = make(folder, redis_url)
    yield app
    close(app)


@pytest.fixture
def ada(app: Flask) -> Browser:
    return Browser(app, "ada")


@pytest.fixture
def grace(app: Flask) -> Browser:
    return Browser(app, "grace")


# -- who asks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/catalog", ORDERS, "/templates", "/scorecards", "/forge/acme/orders", "/actions"]
)
def test_whoever_is_not_signed_in_signs_in_first_and_comes_back(app: Flask, path: str) -> None:
    browser = Browser(app)
    browser.get(path)
    assert browser.path == "/sign-in"
    browser.send("/sign-in", person="ada")
    assert browser.path == path
    assert browser.answer.status_code == 200
    assert "Ada Lovelace" in browser.page


def test_signing_out_ends_the_session(ada: Browser) -> None:
    ada.get("/")
    ada.send("/sign-out")
    ada.get("/catalog")
    assert ada.path == "/sign-in"


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "/\n/evil"])
def test_signing_in_leads_to_a_page_of_this_portal_only(app: Flask, target: str) -> None:
    browser = Browser(app)
    browser.get("/sign-in")
    token = re.search(r'name="csrf_token" value="([^"]+)"', browser.page)
    assert token
    answer = browser.client.post("/sign-in", data={"csrf_token": token[1], "person": "ada", "next": target})
    assert answer.location == "/"


@pytest.mark.parametrize("path", ["/", "/catalog", "/actions", "/api/v1/action-runs"])
def test_tokens_are_good_for_pages_and_for_the_api(app: Flask, path: str) -> None:
    client = app.test_client()
    assert client.get(path, headers=BEARER["viewer"]).status_code == 200
    assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_a_program_without_a_token_gets_401_instead_of_the_sign_in_page(app: Flask) -> None:
    client = app.test_client()
    answer = client.get("/catalog", headers={"Accept": "application/json"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert client.get("/catalog", headers={"Sec-Fetch-Mode": "cors"}).status_code == 401
    assert client.get("/actions", headers={"Sec-Fetch-Mode": "cors"}).status_code == 401


def test_a_wrong_token_is_not_made_good_by_a_cookie(ada: Browser) -> None:
    assert ada.client.get("/catalog", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_a_form_without_its_token_is_refused(ada: Browser) -> None:
    assert ada.client.post(f"{ORDERS}/fix/readme-exists").status_code == 400
    assert "too old" in ada.client.post("/templates/create-service", data={}).text


def test_every_page_has_the_strict_policy_and_nothing_inline(ada: Browser) -> None:
    for path in ("/", "/catalog", ORDERS, "/templates/create-service", "/forge/acme/payments", "/actions", "/nowhere"):
        page = ada.get(path)
        assert ada.answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'"), path
        assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son[a-z]+=", page), path


def test_the_navigation_has_the_plugin_among_the_hosts_pages(ada: Browser) -> None:
    page = ada.get("/actions")
    entries = re.findall(r'<li><a href="([^"]+)"( aria-current="page")?>([^<]+)</a></li>', page)
    assert [label for _, _, label in entries] == ["Home", "Catalog", "Templates", "Actions", "Scorecards"]
    assert [label for _, current, label in entries if current] == ["Actions"]


def test_secrets_are_for_their_owner_only(app: Flask, tmp_path: Path) -> None:
    for name in ("secret.key", "secret-inputs.key"):
        assert (tmp_path / "portal" / name).stat().st_mode & 0o777 == 0o600


def test_two_portals_in_one_process_do_not_meet(app: Flask, tmp_path: Path, redis_url: str) -> None:
    other = make(tmp_path / "other", redis_url)
    with other.app_context():
        seed.create_tables(other)
        (tmp_path / "other" / "git").mkdir()
    assert "orders" in Browser(app, "ada").get("/catalog")
    assert "orders" not in Browser(other, "ada").get("/catalog")
    close(other)


# -- the launcher ----------------------------------------------------------------------------------------------------


def test_the_launcher_lists_templates_and_what_is_wrong_with_others(
    seeded: Path, tmp_path: Path, redis_url: str
) -> None:
    shutil.copytree(seeded, tmp_path / "portal")
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "good.yaml").write_text(_template("good", "type: string"))
    (folder / "broken.yaml").write_text(_template("broken", "type: string").replace("debug.log@v1", "debug.lag@v1"))
    app = make(tmp_path / "portal", redis_url, PORTAL_ACTIONS_TEMPLATE_PATH=[str(folder)])
    page = Browser(app, "grace").get("/templates")
    assert 'href="/templates/good"' in page
    assert 'href="/templates/broken"' not in page
    assert "broken.yaml:" in page
    assert "debug.lag@v1" in page
    close(app)


def _template(name: str, parameter: str) -> str:
    return f"""\
apiVersion: portal-actions/v1
kind: Template
metadata: {{name: {name}, title: The {name} one}}
spec:
  parameters:
    - properties:
        given: {{{parameter}}}
  steps:
    - {{id: say, name: Say, action: debug.log@v1, input: {{message: hello}}}}
"""


def test_the_form_starts_the_template_and_leads_to_its_run(app: Flask, ada: Browser) -> None:
    page = ada.get("/templates/create-service")
    assert 'pattern="^[a-z][a-z0-9\\-]{2,30}$"' in page
    fields = {"input-name": "billing", "input-owner": "acme", "input-description": "Writes bills"}
    ada.send("/templates/create-service", **fields, **{"input-visibility": "private"})
    assert ada.path.startswith("/templates/runs/")
    with app.app_context():
        assert work_off() == 6
    page = ada.get(ada.path)
    assert "success" in page
    assert "/forge/acme/billing" in page
    assert "Writes bills" in ada.get("/catalog/component/default/billing")
    assert "# billing" in ada.get("/forge/acme/billing")
    assert "Create a service" in ada.get("/")


def test_sending_a_form_twice_is_one_run(ada: Browser) -> None:
    page = ada.get("/templates/create-service")
    fields = {"input-name": "billing", "input-owner": "acme"}
    ada.send("/templates/create-service", **fields)
    first, ada.page = ada.path, page
    ada.send("/templates/create-service", **fields)
    assert ada.path == first


def test_errors_are_next_to_their_fields_and_what_was_typed_stays(ada: Browser) -> None:
    ada.get("/templates/request-environment")
    page = ada.send(
        "/templates/request-environment",
        **{"input-service": "NOT VALID", "input-stage": "test", "input-days": "soon", "input-reason": "to <b>see</b>"},
    )
    assert ada.answer.status_code == 422
    for name, value in (("service", "NOT VALID"), ("days", "soon")):
        control = re.search(rf'<input [^>]*value="{value}"[^>]*name="input-{name}"[^>]*>', page)
        assert control, name
        assert 'aria-invalid="true"' in control[0]
        assert f"input-{name}-error" in control[0]
        assert f'id="input-{name}-error"' in page
    assert "to &lt;b&gt;see" in ada.answer.text
    assert re.search(r"<option selected>test</option>", page)
    assert 'id="input-stage-error"' not in page


def test_a_viewer_may_look_at_a_template_but_not_start_it(app: Flask, grace: Browser) -> None:
    page = grace.get("/templates/create-service")
    assert "not start them" in page
    assert ">Start<" not in page
    fields = {"input-name": "billing", "input-owner": "acme"}
    page = grace.send("/templates/create-service", **fields)
    assert grace.answer.status_code == 403
    assert "template:run" in page
    assert 'value="billing"' in page


def test_a_limited_start_says_so_and_keeps_what_was_typed(app: Flask, ada: Browser) -> None:
    fields = {"input-name": "billing", "input-owner": "acme"}
    for _ in range(10):
        ada.get("/templates/create-service")
        ada.send("/templates/create-service", **fields)
        assert ada.path.startswith("/templates/runs/")
    ada.get("/templates/create-service")
    page = ada.send("/templates/create-service", **fields)
    assert ada.answer.status_code == 429
    assert 'role="alert"' in page
    assert 'value="billing"' in page


def test_an_unknown_template_is_a_page_of_the_portal(ada: Browser) -> None:
    page = ada.get("/templates/nothing-such")
    assert ada.answer.status_code == 404
    assert "There is no template nothing-such" in page
    assert "Ada Lovelace" in page


# -- forms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("^[a-z][a-z0-9-]{2,30}$", r"^[a-z][a-z0-9\-]{2,30}$"),
        ("^[-a]$", r"^[\-a]$"),
        ("^[^-a]$", r"^[^\-a]$"),
        (r"^[a\-]$", r"^[a\-]$"),
        ("a-b", ".*(?:a-b).*"),
    ],
)
def test_patterns_are_written_as_browsers_read_them(pattern: str, written: str) -> None:
    assert forms.html_pattern(pattern) == written


def test_a_secret_never_comes_back_into_the_page(seeded: Path, tmp_path: Path, redis_url: str) -> None:
    shutil.copytree(seeded, tmp_path / "portal")
    (tmp_path / "templates").mkdir()
    parameter = "type: string, title: Token, minLength: 12, 'ui:field': Secret"
    (tmp_path / "templates" / "secret.yaml").write_text(_template("secret", parameter))
    app = make(tmp_path / "portal", redis_url, PORTAL_ACTIONS_TEMPLATE_PATH=[str(tmp_path / "templates")])
    ada = Browser(app, "ada")
    assert '<input type="password" value=""' in ada.get("/templates/secret")
    assert "s3cret" not in ada.send("/templates/secret", **{"input-given": "s3cret"})
    assert ada.answer.status_code == 422
    ada.send("/templates/secret", **{"input-given": "a longer s3cret"})
    assert ada.path.startswith("/templates/runs/")
    assert "s3cret" not in ada.page
    close(app)


# -- catalog, scorecards, forge --------------------------------------------------------------------------------------


def test_a_failing_rule_is_fixed_by_a_merged_pull_request(app: Flask, ada: Browser) -> None:
    page = ada.get(ORDERS)
    assert "There is no CODEOWNERS file" in page

    ada.send(f"{ORDERS}/fix/has-codeowners")
    assert ada.path.startswith("/actions/runs/")
    run = ada.path
    assert "The fix is queued" in ada.get(ORDERS)
    ada.send(f"{ORDERS}/fix/has-codeowners")
    assert ada.path == run, "a second click is the same run"

    with app.app_context():
        assert work_off() == 1
    page = ada.get(ORDERS)
    assert "There is no CODEOWNERS file" in page, "a proposal is no file yet"
    assert "Pull request #1 waits for its merge" in page
    assert f"{ORDERS}/fix/has-codeowners" not in page

    page = ada.get("/forge/acme/orders/pulls/1")
    assert "CODEOWNERS" in page
    assert re.search(r'<tr class="added">.*?<td class="text">\* @acme/orders</td></tr>', page)
    page = ada.send("/forge/acme/orders/pulls/1/merge")
    assert "orders passes 3 of 4 rules" in page
    assert "Ada Lovelace merged it" in page
    assert "/merge" not in page

    page = ada.get(ORDERS)
    assert "There is no CODEOWNERS file" not in page
    assert "3 of 4" in page
    assert "* @acme/orders" in ada.get("/forge/acme/orders/blob/main/CODEOWNERS")


def test_a_rule_that_fails_again_is_fixed_on_a_new_branch(app: Flask, ada: Browser) -> None:
    from demo_portal import catalog, fixes, forge, rules
    from portal_actions_plugin.scm.base import Author

    with app.app_context():
        entity, rule = catalog.entity("component:default/orders"), rules.PRODUCTION_READINESS.rule("readme-exists")
        ref = forge.find(entity.repository).ref
        assert rule
        ada.get(ORDERS)
        ada.send(f"{ORDERS}/fix/readme-exists")
        work_off()
        opened = forge.open_forge(Author("Ada", "ada@acme.example"))
        assert fixes._branch_for(ref, rule) == "fix/readme-exists"
        opened.merge_pull(ref, 1)
        assert fixes._branch_for(ref, rule) == "fix/readme-exists-2"


def test_a_viewer_sees_neither_fix_nor_merge_and_may_do_neither(app: Flask, ada: Browser, grace: Browser) -> None:
    ada.get(ORDERS)
    ada.send(f"{ORDERS}/fix/readme-exists")
    with app.app_context():
        work_off()
    page = grace.get(ORDERS)
    assert "/fix/" not in page
    assert "Merge</button>" not in grace.get("/forge/acme/orders/pulls/1")
    client = app.test_client()
    answer = client.post(f"{ORDERS}/fix/has-codeowners", headers=BEARER["viewer"], follow_redirects=True)
    assert "You need the permission action:run" in unescape(answer.text)
    answer = client.post("/forge/acme/orders/pulls/1/merge", headers=BEARER["viewer"])
    assert answer.status_code == 403
    assert ">open<" in grace.get("/forge/acme/orders/pulls/1")


def test_a_fix_that_is_limited_says_so_on_the_entitys_page(app: Flask, ada: Browser) -> None:
    client = app.test_client()
    for _ in range(10):
        answer = client.post(
            "/api/v1/actions/debug.log@v1/runs", json={"input": {"message": "hi"}}, headers=BEARER["developer"]
        )
        assert answer.status_code == 202
    ada.get(ORDERS)
    page = ada.send(f"{ORDERS}/fix/readme-exists")
    assert ada.path == ORDERS
    assert 'class="notice bad"' in page


def test_a_push_from_elsewhere_counts_once_somebody_checks_again(app: Flask, ada: Browser) -> None:
    from demo_portal import forge
    from portal_actions_plugin.scm.base import FileChange

    with app.app_context():
        ref = forge.find("acme/orders").ref
        forge.open_forge().put_files(ref, "main", [FileChange("README.md", b"# orders\n")], "Add it")
    assert "There is no README" in ada.get(ORDERS)
    page = ada.send(f"{ORDERS}/check")
    assert "3 of 4 rules pass" in page
    assert "There is no README" not in page


def test_the_file_of_an_entity_says_which_repository_is_its_own(app: Flask) -> None:
    from demo_portal import catalog, hooks

    source = f"{app.config['PORTAL_ACTIONS_LOCAL_SCM_URL']}/acme/ledger/blob/main/catalog-info.yaml"
    entity = {"kind": "Component", "namespace": "default", "name": "ledger"}
    with app.app_context():
        hooks.Catalog().register_entity(entity, source)
        assert catalog.entity("component:default/ledger").repository == "acme/ledger"
        found = hooks.Catalog().get_entity("component:default/ledger")
        assert found is not None
        assert found["name"] == "ledger"
        assert hooks.Catalog().get_entity("component:default/nothing-such") is None


def test_an_action_registers_and_evaluates_through_the_hosts_hooks(app: Flask) -> None:
    from demo_portal import hooks

    entity = {
        "kind": "Component",
        "namespace": "default",
        "name": "ledger",
        "ownerRef": "team:ledger",
        "repository": "",
    }
    with app.app_context():
        assert hooks.Catalog().register_entity(entity, None) == "component:default/ledger"
        assert hooks.Catalog().register_entity({**entity, "ownerRef": "team:books"}, None) == "component:default/ledger"
        found = hooks.Scorecards().evaluate("component:default/ledger", "production-readiness", force=False)
        assert found["level"] == "none"
        assert [result["passes"] for result in found["results"]] == [True, False, False, False]
        with pytest.raises(NotFoundError):
            hooks.Scorecards().evaluate("component:default/ledger", "nothing-such", force=True)
    page = Browser(app, "margaret").get("/catalog/component/default/ledger")
    assert "books" in page
    assert "/fix/" not in page


def test_the_scorecards_page_shows_every_service(ada: Browser) -> None:
    page = ada.get("/scorecards")
    for name in ("orders", "payments", "identity", "stock-import"):
        assert f"/catalog/component/default/{name}" in page


def test_an_issue_that_a_run_opens_has_the_page_that_its_link_leads_to(app: Flask, ada: Browser) -> None:
    repo = {"provider": "local", "owner": "acme", "repo": "payments"}
    data = {
        "repo": repo,
        "title": "Rotate the keys",
        "body": "Each month",
        "labels": ["security"],
        "assignees": ["grace"],
    }
    client = app.test_client()
    answer = client.post("/api/v1/actions/scm.createIssue@v1/runs", json={"input": data}, headers=BEARER["admin"])
    assert answer.status_code == 202
    with app.app_context():
        assert work_off() == 1
    run = client.get(f"/api/v1/action-runs/{answer.json['id']}", headers=BEARER["admin"]).json
    (link,) = run["links"]
    assert link["title"] == "Issue #1"
    page = ada.get(urlsplit(link["url"]).path)
    for part in ("Rotate the keys", "Each month", ">security<", "For grace"):
        assert part in page
    assert app.test_client().get("/forge/acme/payments/issues/2", headers=BEARER["admin"]).status_code == 404


def test_the_forge_shows_branches_files_and_how_to_clone(app: Flask, ada: Browser, tmp_path: Path) -> None:
    page = ada.get("/forge/acme/payments")
    assert f"git clone file://{tmp_path}/portal/git/acme/payments.git" in page
    assert "# payments" in page
    assert "def do_GET" in ada.get("/forge/acme/payments/blob/main/src/service.py")
    for path in ("/forge/acme/nope", "/forge/nobody", "/forge/acme/payments/pulls/9", "/forge/acme/payments?branch=x"):
        ada.get(path)
        assert ada.answer.status_code == 404, path
    ada.get("/forge/acme/payments/blob/main/../../secret.key")
    assert ada.answer.status_code in (404, 422)
    assert "acme" in ada.get("/forge/acme")


def test_the_other_templates_do_what_they_say(app: Flask, ada: Browser) -> None:
    ada.get("/templates/add-codeowners")
    fields = {"input-owner": "acme", "input-repo": "storefront", "input-team": "web", "input-guide": "on"}
    ada.send("/templates/add-codeowners", **fields)
    ada.get("/templates/request-environment")
    fields = {"input-service": "orders", "input-stage": "test", "input-days": "3", "input-reason": "to see it work"}
    ada.send("/templates/request-environment", **fields)
    with app.app_context():
        assert work_off() == 4
    page = ada.get("/forge/acme/storefront/pulls/1")
    assert "CODEOWNERS" in page
    assert "CONTRIBUTING.md" in page
    assert "days: 3" in ada.get("/forge/platform/environments/pulls/1")
    ada.send("/forge/platform/environments/pulls/1/merge")
    assert "merged" in ada.page


def test_seeding_twice_changes_nothing(app: Flask, ada: Browser) -> None:
    before = ada.get("/forge/acme/orders")
    with app.app_context():
        seed.create_tables(app)
        seed.seed()
        seed.first_run()
        seed.first_run()
        assert work_off() == 6
    assert _commits(before) == _commits(ada.get("/forge/acme/orders"))
    assert "greeter" in ada.get("/catalog")


def _commits(page: str) -> list[str]:
    return re.findall(r'class="mono quiet">([0-9a-f]{7})<', page)


# -- monitoring ------------------------------------------------------------------------------------------------------


def test_metrics_are_for_admins_only(app: Flask) -> None:
    client = app.test_client()
    scraped = client.get("/metrics", headers=BEARER["admin"])
    assert (scraped.status_code, scraped.mimetype) == (200, "text/plain")
    assert "portal_actions_up 1.0" in scraped.text
    for headers in ({}, BEARER["viewer"], BEARER["developer"], {"Authorization": "Bearer nobody"}):
        refused = client.get("/metrics", headers=headers)
        assert refused.status_code == 403
        assert "portal_actions" not in refused.text
