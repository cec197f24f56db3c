"""Backstage's catalog actions: files of a repository become entities of the host's catalog."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from portal_actions_plugin.actions.backstage.catalog_entities import catalog_fetch, catalog_write
from portal_actions_plugin.actions.backstage.catalog_register import catalog_register
from portal_actions_plugin.actions.backstage.publish_github import publish_github
from portal_actions_plugin.actions.backstage.publish_gitlab import publish_gitlab
from portal_actions_plugin.actions.context import ActionContext
from portal_actions_plugin.errors import ConfigurationError, ConflictError, NotFoundError, ValidationError
from portal_actions_plugin.hooks import asking
from portal_actions_plugin.software_templates.expressions.limits import budget
from portal_actions_plugin.software_templates.yaml.documents import read_documents
from tests.support.action_helpers import LostError
from tests.support.forges.benches import GitHubBench, GitLabBench, LocalBench
from tests.support.forges.publishing import Stage, stage_on, stage_on_double

COMPONENT = b"""apiVersion: backstage.io/v1alpha1
kind: API
metadata:
  name: orders-api
spec: {owner: team:shop}
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: Orders
  description: Takes orders
spec:
  type: service
  owner: group:default/shop
"""


class KeptCatalog:
    def __init__(self) -> None:
        self.entities: list[tuple[Mapping[str, Any], str | None]] = []

    def register_entity(self, entity: Mapping[str, Any], source: str | None) -> str:
        self.entities.append((entity, source))
        return f"{entity['kind']}:{entity['namespace']}/{entity['name']}".lower()


@pytest.fixture(params=["local", "github", "gitlab"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    if request.param == "local":
        yield stage_on(LocalBench(tmp_path), tmp_path)
        return
    bench = {"github": GitHubBench, "gitlab": GitLabBench}[request.param](tmp_path / request.param)
    with stage_on_double(bench, tmp_path) as stage:
        yield stage


@pytest.fixture
def local(tmp_path: Path) -> Stage:
    return stage_on(LocalBench(tmp_path), tmp_path)


def registered(stage: Stage, catalog: Any, **data: Any) -> dict[str, Any]:
    ctx = stage.context()
    ctx.host_catalog = asking.catalog(catalog)
    return catalog_register.run(ctx, data)


def test_what_was_published_is_registered(stage: Stage) -> None:
    stage.write({"catalog-info.yaml": COMPONENT})
    publish = publish_gitlab if stage.bench.name == "gitlab" else publish_github
    contents = stage.run(publish, defaultBranch="main")["repoContentsUrl"]
    catalog = KeptCatalog()
    outputs = registered(stage, catalog, repoContentsUrl=contents, catalogInfoPath="/catalog-info.yaml")
    assert outputs["entityRef"] == "component:default/orders"
    assert outputs["catalogInfoUrl"].endswith("/catalog-info.yaml")
    assert [one["name"] for one, _ in catalog.entities] == ["orders-api", "Orders"]
    entity, source = catalog.entities[1]
    assert source == outputs["catalogInfoUrl"]
    assert (entity["kind"], entity["ownerRef"], entity["description"]) == (
        "Component",
        "group:default/shop",
        "Takes orders",
    )
    assert entity["spec"]["type"] == "service"
    again = registered(stage, catalog, catalogInfoUrl=outputs["catalogInfoUrl"])
    assert again == outputs


def test_the_address_of_a_file_is_as_at_home(stage: Stage) -> None:
    page = stage.addresses.page
    stage.bench.add("orders", {"deploy/catalog-info.yaml": COMPONENT, "catalog-info.yaml": COMPONENT})
    repo = f"{stage.addresses._roots(stage.installation)[0]}/acme/orders"
    verb = {"github": "tree", "gitlab": "-/blob", "local": "blob"}[stage.bench.name]
    for contents, path, file in (
        (repo, "/catalog-info.yaml", "main/catalog-info.yaml"),
        (f"{repo}/blob/main", "catalog-info.yaml", "main/catalog-info.yaml"),
        (f"{repo}/blob/main/deploy", "./catalog-info.yaml", "main/deploy/catalog-info.yaml"),
    ):
        outputs = registered(stage, KeptCatalog(), repoContentsUrl=contents, catalogInfoPath=path)
        found = page(outputs["catalogInfoUrl"])
        assert found is not None
        assert f"{found.ref}/{found.path}" == file
        if contents == repo:
            assert outputs["catalogInfoUrl"] == f"{repo}/{verb}/{file}"


def test_a_catalog_that_takes_locations_is_given_the_address(local: Stage) -> None:
    asked: list[tuple[str, bool]] = []

    def register_location(url: str, optional: bool) -> str | None:
        asked.append((url, optional))
        return "component:default/orders"

    catalog = SimpleNamespace(register_entity=lambda *_: "x", register_location=register_location)
    url = "https://anywhere.example/catalog-info.yaml"
    assert registered(local, catalog, catalogInfoUrl=url, optional=True) == {
        "catalogInfoUrl": url,
        "entityRef": "component:default/orders",
    }
    assert asked == [(url, True)]
    catalog.register_location = lambda *_: 7
    with pytest.raises(ConfigurationError, match="register_location with a int"):
        registered(local, catalog, catalogInfoUrl=url)


@pytest.mark.parametrize(
    "url",
    [
        "https://ada:hush-hush@github.com/acme/orders/blob/main/catalog-info.yaml",
        "file:///etc/passwd",
        "ftp://github.com/acme/orders",
        "https://[github.com/acme",
        "catalog-info.yaml",
    ],
)
def test_a_catalog_is_given_no_password_and_no_file_of_its_machine(local: Stage, url: str) -> None:
    asked: list[object] = []
    catalog = SimpleNamespace(register_entity=lambda *_: "x", register_location=lambda *given: asked.append(given))
    with pytest.raises(ValidationError) as refused:
        registered(local, catalog, catalogInfoUrl=url, optional=True)
    assert "catalogInfoUrl" in refused.value.fields
    assert "hush-hush" not in f"{refused.value.message}{refused.value.fields}"
    assert asked == []


def test_what_is_registered_already_is_allowed_where_it_is_optional(local: Stage) -> None:
    def taken(_url: str, _optional: bool) -> str:
        raise ConflictError("It is there.")

    catalog = SimpleNamespace(register_entity=lambda *_: "x", register_location=taken)
    url = "https://anywhere.example/catalog-info.yaml"
    with pytest.raises(ConflictError):
        registered(local, catalog, catalogInfoUrl=url)
    assert registered(local, catalog, catalogInfoUrl=url, optional=True) == {"catalogInfoUrl": url}


def test_what_is_registered_already_is_allowed_where_the_portal_has_no_credential_to_read_it(
    local: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(_url: str, _optional: bool) -> str:
        raise ConflictError("It is there.")

    def no_credential(*_given: object) -> None:
        raise ConfigurationError("There is no credential.")

    monkeypatch.setattr(ActionContext, "scm", no_credential)
    catalog = SimpleNamespace(register_entity=lambda *_: "x", register_location=taken)
    url = f"{local.addresses._roots(local.installation)[0]}/acme/orders/blob/main/catalog-info.yaml"
    assert registered(local, catalog, catalogInfoUrl=url, optional=True) == {"catalogInfoUrl": url}


def test_a_step_that_is_repeated_does_not_fail_on_what_it_has_registered_itself(local: Stage) -> None:
    local.bench.add("orders", {"catalog-info.yaml": COMPONENT})
    there: set[str] = set()

    def register_location(url: str, _optional: bool) -> None:
        if url in there:
            raise ConflictError("It is there.")
        there.add(url)
        raise LostError  # the attempt is lost right after the catalog has it

    catalog = SimpleNamespace(register_entity=lambda *_: "x", register_location=register_location)
    contents = f"{local.addresses._roots(local.installation)[0]}/acme/orders/blob/main"
    ctx = local.context()
    ctx.host_catalog = catalog
    with pytest.raises(LostError):
        catalog_register.run(ctx, {"repoContentsUrl": contents})
    made = catalog_register.run(ctx, {"repoContentsUrl": contents})
    assert made["entityRef"] == "component:default/orders"
    with pytest.raises(ConflictError):
        registered(local, catalog, repoContentsUrl=contents)
    allowed = registered(local, catalog, repoContentsUrl=contents, optional=True)
    assert allowed["entityRef"] == "component:default/orders"


def test_a_missing_file_is_an_error_unless_it_is_optional(stage: Stage) -> None:
    stage.bench.add("orders", {"README.md": b"x"})
    contents = f"{stage.addresses._roots(stage.installation)[0]}/acme/orders/blob/main"
    with pytest.raises(NotFoundError, match=r"no file catalog-info\.yaml on main of acme/orders"):
        registered(stage, KeptCatalog(), repoContentsUrl=contents)
    assert "entityRef" not in registered(stage, KeptCatalog(), repoContentsUrl=contents, optional=True)


def test_a_location_leads_to_its_files(local: Stage) -> None:
    location = b"kind: Location\nmetadata: {name: all}\nspec: {targets: [./one.yaml, ./deep/two.yaml, ./one.yaml]}\n"
    local.bench.add(
        "orders",
        {
            "catalog-info.yaml": location,
            "one.yaml": COMPONENT,
            "deep/two.yaml": b"kind: Resource\nmetadata: {name: db, namespace: data}\n",
        },
    )
    catalog = KeptCatalog()
    outputs = registered(local, catalog, repoContentsUrl=f"{local.bench._root.as_uri()}/acme/orders/blob/main")
    assert [one["name"] for one, _ in catalog.entities] == ["orders-api", "Orders", "db"]
    assert outputs["entityRef"] == "component:default/orders"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"kind: [", "line 2"),
        (b"- a list", "no entity"),
        (b"metadata: {name: x}", "kind"),
        (b"kind: Component\nmetadata: {name: 'a b'}", "name"),
        (b"", "no entity"),
        (b"\xff\xfe", "not UTF-8"),
        (b"kind: Component\nmetadata: {name: good}\n---\nkind: Component\nmetadata: {}\n", "line 4"),
    ],
)
def test_what_is_no_entity_is_told_with_its_line_and_nothing_is_registered(
    local: Stage, content: bytes, said: str
) -> None:
    local.bench.add("orders", {"catalog-info.yaml": content})
    catalog = KeptCatalog()
    with pytest.raises(ValidationError, match=said):
        registered(local, catalog, repoContentsUrl=f"{local.bench._root.as_uri()}/acme/orders/blob/main")
    assert catalog.entities == []


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "catalogInfoUrl"),
        ({"repoContentsUrl": "https://elsewhere.example/acme/orders"}, "repoContentsUrl"),
        ({"catalogInfoUrl": "https://elsewhere.example/catalog-info.yaml"}, "catalogInfoUrl"),
        ({"repoContentsUrl": "{root}/acme/orders/blob/main", "catalogInfoPath": "/../../x"}, "catalogInfoPath"),
    ],
)
def test_an_address_that_leads_nowhere_is_named(local: Stage, data: dict[str, str], field: str) -> None:
    given = {key: value.format(root=local.bench._root.as_uri()) for key, value in data.items()}
    with pytest.raises(ValidationError) as refused:
        registered(local, KeptCatalog(), **given)
    assert field in refused.value.fields


def test_a_portal_without_a_catalog_says_so(local: Stage) -> None:
    local.bench.add("orders", {"catalog-info.yaml": COMPONENT})
    with pytest.raises(ConfigurationError, match="no catalog"):
        catalog_register.run(
            local.context(), {"repoContentsUrl": f"{local.bench._root.as_uri()}/acme/orders/blob/main"}
        )


def test_an_entity_is_written_as_it_is_read(local: Stage) -> None:
    entity = {
        "apiVersion": "backstage.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": "orders", "annotations": {"version": "1e3", "on": "yes", "when": "12:30"}},
        "spec": {"type": "service", "owner": "0o17", "tags": ["a", "~", "null"]},
    }
    catalog_write.run(local.context(), {"entity": entity, "filePath": "deploy/catalog-info.yaml"})
    with budget():
        assert read_documents((local.workspace / "deploy" / "catalog-info.yaml").read_text())[0].data == entity
    catalog_write.run(local.context(), {"entity": entity})
    assert yaml.safe_load((local.workspace / "catalog-info.yaml").read_text())["kind"] == "Component"


def test_a_link_is_replaced_and_not_followed(local: Stage) -> None:
    (local.workspace / "catalog-info.yaml").symlink_to("README.md")
    catalog_write.run(local.context(), {"entity": {"kind": "Component"}})
    assert (local.workspace / "README.md").read_bytes() == b"# orders\n"


@pytest.mark.parametrize("path", ["../x.yaml", "/etc/x.yaml", "src", ".", "README.md/x.yaml", "x" * 300])
def test_an_entity_is_written_into_a_file_of_the_workspace_alone(local: Stage, path: str) -> None:
    with pytest.raises(ValidationError) as refused:
        catalog_write.run(local.context(), {"entity": {"kind": "Component"}, "filePath": path})
    assert "filePath" in refused.value.fields


def test_an_entity_that_is_nested_too_deeply_is_told(local: Stage) -> None:
    deep: dict[str, Any] = {}
    for _ in range(500):
        deep = {"a": deep}
    with pytest.raises(ValidationError) as refused:
        catalog_write.run(local.context(), {"entity": deep})
    assert "entity" in refused.value.fields


ENTITIES = {"component:default/orders": {"kind": "Component", "metadata": {"name": "orders"}}}


class TestFetch:
    def fetched(self, stage: Stage, **data: Any) -> dict[str, Any]:
        ctx = stage.context()
        catalog: Any = SimpleNamespace(register_entity=lambda *_: "x", get_entity=ENTITIES.get)
        ctx.host_catalog = asking.catalog(catalog)
        return catalog_fetch.run(ctx, data)

    def test_an_entity_is_found_by_its_reference(self, local: Stage) -> None:
        wanted = ENTITIES["component:default/orders"]
        assert self.fetched(local, entityRef="Component:Orders") == {"entity": wanted}
        assert self.fetched(local, entityRef="orders", defaultKind="Component", defaultNamespace="default") == {
            "entity": wanted
        }
        assert self.fetched(local, entityRefs=["component:orders"]) == {"entities": [wanted]}

    def test_what_is_missing_is_an_error_unless_it_is_optional(self, local: Stage) -> None:
        with pytest.raises(NotFoundError, match="no entity component:default/nope"):
            self.fetched(local, entityRef="component:nope")
        assert self.fetched(local, entityRef="component:nope", optional=True) == {"entity": None}
        assert self.fetched(local, entityRefs=["component:nope"], optional=True) == {"entities": [None]}
        assert self.fetched(local, optional=True) == {}

    @pytest.mark.parametrize(("data", "field"), [({}, "entityRef"), ({"entityRef": "orders"}, "entityRef")])
    def test_a_reference_that_is_none_is_named(self, local: Stage, data: dict[str, Any], field: str) -> None:
        with pytest.raises(ValidationError) as refused:
            self.fetched(local, **data)
        assert field in refused.value.fields

    def test_a_catalog_that_cannot_be_read_says_so(self, local: Stage) -> None:
        ctx = local.context()
        ctx.host_catalog = asking.catalog(KeptCatalog())
        with pytest.raises(ConfigurationError, match="get_entity"):
            catalog_fetch.run(ctx, {"entityRef": "component:orders"})
