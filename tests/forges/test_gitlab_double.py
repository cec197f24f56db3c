"""The double of GitLab is as strict as GitLab: people and tokens, projects, what belongs to them, limits and faults."""

from __future__ import annotations

import inspect
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import urllib3

from tests.support.forges.faults import Hang, Respond
from tests.support.forges.gitlab import DEVELOPER, GUEST, MAINTAINER, OWNER, GitLabDouble, endpoints
from tests.support.forges.gitlab.asking import Asker
from tests.support.forges.gitlab.routing import Routes
from tests.support.forges.rate_limit import Rate
from tests.support.waiting import PATIENCE_SECONDS

TAKEN = ["has already been taken"]


@pytest.fixture
def gitlab(tmp_path):
    with GitLabDouble(tmp_path / "gitlab") as double:
        yield double
        assert not double.forge.defects, "\n".join(double.forge.defects)


@pytest.fixture
def ada(gitlab):
    return gitlab.add_user("ada")


@pytest.fixture
def acme(gitlab, ada):
    return gitlab.add_group("acme", {"ada": OWNER})


@pytest.fixture
def asks(gitlab, ada):
    with Asker(gitlab.api_url, gitlab.add_token(ada, "api")) as asker:
        yield asker


@pytest.fixture
def shop(gitlab, ada, acme):
    return gitlab.add_project("acme/shop", ada, {"README.md": b"# shop\n"})


@pytest.fixture
def somebody(gitlab):
    """Ask as who has an access level in acme, with a token of some scopes."""
    askers = []

    def with_level(level: int, *scopes: str, kind: str = "personal") -> Asker:
        user = gitlab.add_user(f"grace{len(askers)}")
        group = gitlab.state.namespace("acme")
        if level:
            group.members[user.id] = level
        askers.append(Asker(gitlab.api_url, gitlab.add_token(user, *(scopes or ("api",)), kind=kind)))
        return askers[-1]

    yield with_level
    for asker in askers:
        asker.close()


def test_every_endpoint_cites_the_page_of_the_documentation_that_it_follows():
    assert endpoints.__all__
    for route in Routes.known:
        above = inspect.getcomments(route.endpoint) or inspect.getdoc(inspect.getmodule(route.endpoint))
        assert "docs.gitlab.com/" in above, route.name


class TestTokens:
    def test_an_unknown_token_and_none_at_all_are_401_in_the_same_words(self, gitlab, asks):
        for headers in ({"PRIVATE-TOKEN": "glpat-unknown"}, {"Authorization": "Bearer unknown"}, {}):
            answer = asks.raw("GET", "/user", headers=headers)
            assert (answer.status, answer.json()) == (401, {"message": "401 Unauthorized"})

    def test_a_token_goes_into_either_header_but_one_of_oauth_is_a_bearer_alone(self, gitlab, ada, asks):
        oauth = gitlab.add_token(ada, "api", kind="oauth")
        assert asks.raw("GET", "/user", headers={"Authorization": f"Bearer {asks.token}"}).status == 200
        assert asks.raw("GET", "/user", headers={"Authorization": f"Bearer {oauth}"}).status == 200
        assert asks.raw("GET", "/user", headers={"PRIVATE-TOKEN": oauth}).status == 401

    @pytest.mark.parametrize(("how", "says"), [("expired", "Token is expired."), ("revoked", "Token was revoked.")])
    def test_a_token_that_has_ended_says_how(self, gitlab, asks, how, says):
        gitlab.end_token(asks.token, how)
        answer = asks.get("/user", status=401)
        assert answer["error"] == "invalid_token"
        assert answer["error_description"].startswith(says)

    def test_a_scope_that_is_missing_is_named(self, acme, somebody):
        asks = somebody(OWNER, "read_api")
        assert asks.post("/projects", {"name": "shop", "namespace_id": acme.id}, status=403) == {
            "error": "insufficient_scope",
            "error_description": "The request requires higher privileges than provided by the access token.",
            "scope": "api",
        }
        assert somebody(OWNER, "read_user").get("/groups/acme", status=403)["scope"] == "api read_api"

    def test_any_scope_lets_a_token_tell_about_itself(self, somebody, acme):
        assert somebody(OWNER, "read_repository").get("/personal_access_tokens/self")["scopes"] == ["read_repository"]
        assert (
            "personal access token"
            in somebody(OWNER, kind="oauth").get("/personal_access_tokens/self", status=400)["message"]
        )

    def test_a_blocked_person_is_403(self, gitlab, ada, asks):
        ada.state = "blocked"
        assert asks.get("/user", status=403) == {"message": "403 Forbidden - Your account has been blocked."}

    def test_the_bots_of_tokens_create_nothing_outside_of_what_is_theirs(self, gitlab, acme, shop):
        other = gitlab.add_group("other", visibility="public")
        for token in (gitlab.add_group_token(acme), gitlab.add_project_token(shop)):
            with Asker(gitlab.api_url, token) as bot:
                assert bot.post("/projects", {"name": "mine"}, status=403)["error"]
                bot.post("/projects", {"name": "theirs", "namespace_id": other.id}, status=403)
                assert bot.get("/projects/acme%2Fshop")["id"] == shop.id
        with Asker(gitlab.api_url, gitlab.add_group_token(acme)) as bot:
            assert (
                bot.post("/projects", {"name": "ours", "namespace_id": acme.id})["path_with_namespace"] == "acme/ours"
            )


class TestNamespaces:
    def test_a_group_that_one_may_not_see_is_not_there(self, gitlab, asks, acme, somebody):
        gitlab.add_group("hidden")
        gitlab.add_group("open", visibility="public")
        asks.get("/groups/open")
        asks.get("/namespaces/open", status=404)
        assert asks.get("/groups/hidden", status=404) == {"message": "404 Group Not Found"}
        assert asks.get("/namespaces/hidden", status=404) == {"message": "404 Namespace Not Found"}
        assert asks.get("/groups/ACME")["id"] == asks.get("/namespaces/acme")["id"] == acme.id

    def test_a_person_has_a_namespace_and_is_no_group(self, asks, ada):
        assert asks.get("/namespaces/ada")["kind"] == "user"
        asks.get("/groups/ada", status=404)

    def test_subgroups_are_found_by_their_encoded_path_alone(self, gitlab, asks, acme):
        gitlab.add_group("acme/platform")
        assert asks.get("/groups/acme%2Fplatform")["parent_id"] == acme.id
        assert asks.get("/groups/acme/platform", status=404) == {"error": "404 Not Found"}

    def test_metadata_and_version_agree(self, asks, gitlab):
        gitlab.state.edition = "ee-free"
        assert asks.get("/metadata")["version"] == asks.get("/version")["version"] == "19.5.0-ee"
        assert asks.get("/metadata")["enterprise"] is True


class TestProjects:
    def test_one_is_made_empty_with_its_creator_named(self, gitlab, asks, ada, acme):
        body = {"name": "My Shop", "namespace_id": acme.id, "visibility": "internal"}
        closed = asks.post("/projects", body, status=400)
        assert closed == {"message": {"visibility_level": ["internal is not allowed in a private group."]}}
        acme.visibility = "public"
        made = asks.post("/projects", body)
        assert (made["path_with_namespace"], made["empty_repo"], made["creator_id"]) == ("acme/my-shop", True, ada.id)
        assert gitlab.project("acme/my-shop").commits() == []

    def test_without_a_namespace_it_is_its_creators_own(self, asks):
        assert asks.post("/projects", {"path": "notes"})["path_with_namespace"] == "ada/notes"

    def test_a_name_that_is_taken_says_so_of_name_and_path(self, asks, acme, shop):
        answer = asks.post("/projects", {"name": "Shop", "path": "SHOP", "namespace_id": acme.id}, status=400)
        assert answer["message"]["name"] == answer["message"]["path"] == TAKEN

    def test_a_readme_makes_the_first_commit_and_protects_the_default_branch(self, gitlab, asks, acme):
        body = {"name": "shop", "namespace_id": acme.id, "initialize_with_readme": True}
        made = asks.post("/projects", body)
        assert [commit.message for commit in gitlab.project("acme/shop").commits()] == ["Initial commit"]
        rules = asks.get(f"/projects/{made['id']}/protected_branches")
        assert [(rule["name"], rule["push_access_levels"][0]["access_level"]) for rule in rules] == [("main", 40)]

    def test_whoever_is_no_developer_of_a_group_creates_nothing_there(self, acme, somebody):
        body = {"name": "shop", "namespace_id": acme.id}
        assert somebody(GUEST).post("/projects", body, status=400) == {"message": {"namespace": ["is not valid"]}}
        made = somebody(DEVELOPER).post("/projects", body)
        # Its creator is no more than a developer of it, and not even allowed to make its first branch.
        assert made["permissions"]["group_access"]["access_level"] == DEVELOPER

    def test_missing_and_wrong_parameters_are_named_before_anything_happens(self, asks, acme):
        assert asks.post("/projects", {}, status=400)["error"].startswith("name, path are missing")
        wrong = {"name": "shop", "visibility": "secret"}
        assert asks.post("/projects", wrong, status=400) == {"error": "visibility does not have a valid value"}
        assert asks.raw("POST", "/projects", body=b"{", kind="application/json").status == 400
        assert asks.raw("POST", "/projects", body=b"x", kind="text/plain").status == 415

    def test_parameters_that_no_page_knows_are_noted(self, gitlab, asks):
        asks.post("/projects", {"name": "shop", "auto_init": True})
        with pytest.raises(AssertionError, match="POST /projects: auto_init"):
            gitlab.verify()

    def test_a_private_one_is_404_for_others_and_a_moved_one_redirects_reads_alone(self, gitlab, asks, shop, somebody):
        assert somebody(0).get("/projects/acme%2Fshop", status=404) == {"message": "404 Project Not Found"}
        gitlab.move(shop, "acme/store")
        answer = asks.raw("GET", "/projects/acme%2Fshop/hooks?per_page=5")
        assert answer.status == 301
        assert answer.headers["Location"] == f"{gitlab.api_url}/projects/{shop.id}/hooks?per_page=5"
        refusal = {"message": "Non GET methods are not allowed for moved projects"}
        assert asks.put("/projects/acme%2Fshop", {"description": "x"}, status=405) == refusal
        assert asks.raw("HEAD", "/projects/acme%2Fshop/repository/files/README.md?ref=main").status == 405
        assert asks.get(f"/projects/{shop.id}")["path_with_namespace"] == "acme/store"

    def test_a_new_project_takes_the_name_that_another_had(self, gitlab, asks, acme, shop):
        gitlab.move(shop, "acme/store")
        taken = asks.post("/projects", {"name": "shop", "namespace_id": acme.id}, status=400)
        assert taken["message"]["name"] == TAKEN  # the other one has another path, and still its name
        new = asks.post("/projects", {"name": "New shop", "path": "shop", "namespace_id": acme.id})
        assert asks.get("/projects/acme%2Fshop")["id"] == new["id"] != shop.id

    def test_topics_are_set_as_a_whole(self, asks, shop):
        asks.put(f"/projects/{shop.id}", {"topics": ["python", "api"]})
        assert asks.put(f"/projects/{shop.id}", {"topics": ["go"]})["topics"] == ["go"]

    def test_an_archived_project_takes_no_writes(self, gitlab, asks, shop):
        asks.post(f"/projects/{shop.id}/archive", {})
        body = {"branch": "x", "ref": "main"}
        assert asks.post(f"/projects/{shop.id}/repository/branches", body, status=403) == {"message": "403 Forbidden"}
        asks.post(f"/projects/{shop.id}/hooks", {"url": "https://x.example"}, status=403)


class TestWhatBelongsToAProject:
    def test_webhooks_are_made_twice_when_asked_twice_and_never_tell_their_token(self, gitlab, asks, shop):
        body = {"url": "https://ci.example/hook", "token": "s3cret", "merge_requests_events": True}
        first = asks.post(f"/projects/{shop.id}/hooks", body)
        assert (first["push_events"], first["merge_requests_events"], "token" in first) == (True, True, False)
        asks.post(f"/projects/{shop.id}/hooks", body)
        assert [hook.url for hook in shop.hooks] == ["https://ci.example/hook"] * 2

    def test_a_webhook_keeps_its_token_until_its_address_changes(self, asks, shop):
        made = asks.post(f"/projects/{shop.id}/hooks", {"url": "https://ci.example/hook", "token": "s3cret"})
        asks.put(f"/projects/{shop.id}/hooks/{made['id']}", {"push_events": False})
        assert shop.hooks[0].token == "s3cret"
        asks.put(f"/projects/{shop.id}/hooks/{made['id']}", {"url": "https://ci.example/other"})
        assert shop.hooks[0].token is None

    def test_webhooks_are_a_maintainers_and_need_an_address(self, acme, shop, somebody, asks):
        body = {"url": "https://ci.example/hook"}
        assert somebody(DEVELOPER).post(f"/projects/{shop.id}/hooks", body, status=403)["message"] == "403 Forbidden"
        assert asks.post(f"/projects/{shop.id}/hooks", {"url": "nonsense"}, status=422) == {
            "error": "Invalid url given"
        }
        assert asks.post(f"/projects/{shop.id}/hooks", {}, status=400) == {"error": "url is missing"}

    def test_a_branch_is_protected_once_and_patched_afterwards(self, asks, shop):
        rules = f"/projects/{shop.id}/protected_branches"
        answer = asks.post(rules, {"name": "main"}, status=409)
        assert answer == {"message": "Protected branch 'main' already exists"}
        assert asks.patch(f"{rules}/main", {"allow_force_push": True})["allow_force_push"] is True
        asks.post(rules, {"name": "release/*", "push_access_level": 0, "merge_access_level": 30})
        assert asks.get(f"{rules}/release%2F*")["push_access_levels"][0]["access_level_description"] == "No one"
        asks.delete(f"{rules}/main")
        asks.get(f"{rules}/main", status=404)

    @pytest.mark.parametrize(("edition", "status"), [("ce", 404), ("ee-free", 403), ("ee-premium", 200)])
    def test_approvals_are_premiums(self, gitlab, asks, shop, edition, status):
        gitlab.state.edition = edition
        asks.get(f"/projects/{shop.id}/approvals", status=status)

    def test_members_are_added_once_and_updated_afterwards(self, gitlab, asks, shop):
        grace = gitlab.add_user("grace")
        members = f"/projects/{shop.id}/members"
        assert asks.post(members, {"username": "grace", "access_level": 30})["access_level"] == 30
        again = {"user_id": grace.id, "access_level": 40}
        assert asks.post(members, again, status=409) == {"message": "Member already exists"}
        assert asks.put(f"{members}/{grace.id}", {"access_level": 40})["access_level"] == 40
        assert (
            asks.post(members, {"username": "nobody", "access_level": 30}, status=404)["message"]
            == "404 User Not Found"
        )
        assert {one["username"] for one in asks.get(f"{members}/all")} == {"ada", "grace"}

    def test_a_group_shares_a_project_once(self, gitlab, asks, shop, ada):
        group = gitlab.add_group("platform", {"ada": OWNER})
        body = {"group_id": group.id, "group_access": 30}
        asks.post(f"/projects/{shop.id}/share", body)
        asks.post(f"/projects/{shop.id}/share", body, status=409)
        assert asks.get(f"/projects/{shop.id}")["shared_with_groups"][0]["group_access_level"] == 30

    def test_variables_are_made_once_and_masked_only_when_they_can_be(self, asks, shop):
        variables = f"/projects/{shop.id}/variables"
        asks.post(variables, {"key": "TOKEN", "value": "abcdefgh", "masked": True})
        taken = asks.post(variables, {"key": "TOKEN", "value": "x"}, status=400)
        assert taken == {"message": {"key": ["(TOKEN) has already been taken"]}}
        short = asks.post(variables, {"key": "OTHER", "value": "a b", "masked": True}, status=400)
        assert short == {"message": {"value": ["is invalid"]}}
        assert asks.put(f"{variables}/TOKEN", {"value": "ijklmnop"})["value"] == "ijklmnop"
        assert asks.get(f"{variables}/NONE", status=404) == {"message": "404 Variable Not Found"}

    def test_issues_get_labels_that_are_made_on_the_way(self, asks, shop):
        issue = asks.post(f"/projects/{shop.id}/issues", {"title": "It leaks", "labels": "bug,urgent"})
        assert issue["labels"] == ["bug", "urgent"]
        changed = asks.put(
            f"/projects/{shop.id}/issues/{issue['iid']}", {"add_labels": "later", "remove_labels": "bug"}
        )
        assert changed["labels"] == ["later", "urgent"]
        label = {"name": "bug", "color": "#ff0000"}
        assert asks.post(f"/projects/{shop.id}/labels", label, status=409) == {"message": "Label already exists"}

    def test_a_pipeline_needs_a_ref_and_a_configuration(self, gitlab, asks, shop):
        create = f"/projects/{shop.id}/pipeline"
        assert asks.post(create, {"ref": "nowhere"}, status=400) == {"message": {"base": ["Reference not found"]}}
        assert asks.post(create, {"ref": "main"}, status=400) == {"message": {"base": ["Missing CI config file"]}}
        gitlab.push(shop, "main", {".gitlab-ci.yml": b"test: {script: 'true'}\n"})
        made = asks.post(create, {"ref": "main", "variables": [{"key": "A", "value": "1"}]})
        assert shop.pipelines[0].variables == {"A": "1"}
        assert [one["id"] for one in asks.get(f"/projects/{shop.id}/pipelines?ref=main&source=api")] == [made["id"]]


class TestTheWholeInstance:
    def test_every_answer_has_a_request_id_and_the_date_of_its_own_clock(self, gitlab, asks):
        gitlab.clock.skew = timedelta(days=400)
        headers = asks.raw("GET", "/user").headers
        assert len(headers["X-Request-Id"]) == 26
        assert "2027" in headers["Date"] or "2028" in headers["Date"]

    def test_above_the_limit_it_says_when_to_come_back_in_plain_text(self, gitlab, asks):
        gitlab.limiter.rate = Rate(1, 3600)
        asks.get("/user")
        answer = asks.raw("GET", "/user")
        assert (answer.status, answer.data) == (429, b"Retry later\n")
        assert {"RateLimit-Limit", "RateLimit-Reset", "RateLimit-Remaining", "Retry-After"} <= set(answer.headers)

    def test_in_maintenance_reads_are_answered_and_writes_are_503(self, gitlab, asks, shop):
        gitlab.state.maintenance = True
        asks.get(f"/projects/{shop.id}")
        answer = asks.raw("PUT", f"/projects/{shop.id}", body=b'{"topics": []}', kind="application/json")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "60")

    def test_what_is_too_large_is_413_from_the_proxy_in_front(self, gitlab, asks):
        gitlab.state.largest_body = 10
        answer = asks.raw("POST", "/projects", body=b'{"name": "shop"}', kind="application/json")
        assert (answer.status, answer.headers["Content-Type"]) == (413, "text/html")

    def test_lists_page_by_link(self, gitlab, asks, shop):
        for number in range(3):
            asks.post(f"/projects/{shop.id}/labels", {"name": f"l{number}", "color": "#000000"})
        first = asks.raw("GET", f"/projects/{shop.id}/labels?per_page=2")
        assert (len(first.json()), first.headers["X-Total"], first.headers["X-Next-Page"]) == (2, "3", "2")
        assert f'<{gitlab.api_url}/projects/{shop.id}/labels?page=2&per_page=2>; rel="next"' in first.headers["Link"]
        second = asks.raw("GET", f"/projects/{shop.id}/labels?per_page=2&page=2")
        assert (len(second.json()), 'rel="next"' in second.headers["Link"]) == (1, False)

    def test_outside_of_the_api_a_page_asks_people_to_sign_in(self, gitlab, asks):
        answer = urllib3.request("GET", f"{gitlab.url}/dashboard", redirect=False, retries=False)
        assert answer.headers["Location"] == f"{gitlab.url}/users/sign_in"

    def test_faults_happen_by_order_before_or_after_the_deed(self, gitlab, asks, acme):
        gitlab.faults.order("POST", "/projects", Respond(502, "<html>Bad gateway</html>"), after=True)
        assert asks.raw("POST", "/projects", body=b'{"name": "lost"}', kind="application/json").status == 502
        assert gitlab.project("ada/lost")
        hang = gitlab.faults.order("GET", "/user", Hang())
        with pytest.raises(urllib3.exceptions.ReadTimeoutError):
            asks.raw("GET", "/user", timeout=0.2)
        hang.wait()
        gitlab.faults.clear()
        asks.get("/user")

    def test_it_runs_by_itself(self):
        command = [sys.executable, "-m", "tests.support.forges.gitlab", "--token", "glpat-standalone"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        try:
            url, _, token = process.stdout.readline().strip().partition(" token=")
            with Asker(f"{url}/api/v4", token) as asker:
                assert asker.get("/user", timeout=PATIENCE_SECONDS)["username"] == "ada"
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def test_levels_are_those_of_the_documentation():
    # docs.gitlab.com/api/access_requests/#valid-access-levels
    assert (GUEST, DEVELOPER, MAINTAINER, OWNER) == (10, 30, 40, 50)
