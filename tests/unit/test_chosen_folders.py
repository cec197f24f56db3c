"""Folders beside a template that an expression chooses: what the form offers is known before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.host import Severity
from portal_actions_plugin.software_templates.loader import FolderTemplateSource, read_skeleton
from portal_actions_plugin.software_templates.spec import Template

OFFERED = {"type": "string", "default": "../shared/plain", "enum": ["../shared/plain", "../shared/signed"]}
Load = Callable[..., Template]


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., FolderTemplateSource]:
    """Write a template whose one step fetches a url, with the file ``x`` in some folders."""

    def written(
        url: str, fields: dict[str, object], folders: list[str], each: object = None, **page: object
    ) -> FolderTemplateSource:
        for folder in folders:
            (tmp_path / folder).mkdir(parents=True)
            (tmp_path / folder / "x").write_text(folder)
        form = {"properties": fields, **page}
        template: dict[str, Any] = {
            "apiVersion": "scaffolder.backstage.io/v1beta3",
            "kind": "Template",
            "metadata": {"name": "svc"},
            "spec": {"parameters": [form], "steps": [{"id": "f", "action": "fetch:plain", "input": {"url": url}}]},
        }
        if each is not None:
            template["spec"]["steps"][0]["each"] = each
        (tmp_path / "svc").mkdir(exist_ok=True)
        (tmp_path / "svc" / "template.yaml").write_text(yaml.safe_dump(template))
        catalog = {"kind": "Location", "spec": {"targets": ["./svc/template.yaml"]}}
        (tmp_path / "all.yaml").write_text(yaml.safe_dump({"apiVersion": "backstage.io/v1alpha1", **catalog}))
        return FolderTemplateSource((tmp_path,), {"fetch:plain"})

    return written


@pytest.mark.parametrize(
    ("url", "fields"),
    [
        ("${{ parameters.kind }}", {"kind": OFFERED}),
        ("${{ parameters['kind'] }}/", {"kind": OFFERED}),
        ("${{ parameters.kind or './other' }}", {"kind": OFFERED}),
        ("${{ parameters.kind }}", {"kind": {"oneOf": [{"const": "../shared/plain"}, {"const": "../shared/signed"}]}}),
        ("${{ '../shared/signed' if parameters.safe else '../shared/plain' }}", {"safe": {"type": "boolean"}}),
        ('${{ "../shared/signed" if parameters.safe else "../shared/plain" }}', {"safe": {"type": "boolean"}}),
        ("../shared/${{ parameters.kind }}", {"kind": {"enum": ["plain", "signed"]}}),
    ],
)
def test_each_folder_that_a_form_offers_can_be_fetched(source, url, fields):
    template = source(url, fields, ["shared/plain", "shared/signed"]).get("svc")
    again = Template.from_snapshot(template.snapshot())
    for kind in ("plain", "signed"):
        (found,) = read_skeleton(again, f"../shared/{kind}/")
        assert (found.path, found.content) == ("x", f"shared/{kind}".encode())


@pytest.mark.parametrize(
    ("url", "each", "field"),
    [
        ("${{ each.value }}", ["../shared/plain", "../shared/signed"], {"type": "string"}),
        ("${{each.value}}/", {"a": "../shared/plain", "b": "../shared/signed"}, {"type": "string"}),
        ("${{ each.value.from }}", [{"from": "../shared/plain"}, {"from": "../shared/signed"}, {}], {"type": "string"}),
        ("${{ each.value }}", "${{ parameters.kinds }}", {"type": "array", "items": {"enum": OFFERED["enum"]}}),
        ("${{ each.value }}", "${{ parameters.kinds }}", {"type": "array", "default": OFFERED["enum"]}),
    ],
)
def test_each_folder_that_a_step_goes_through_can_be_fetched(source, url, each, field):
    template = source(url, {"kinds": field}, ["shared/plain", "shared/signed"], each=each).get("svc")
    again = Template.from_snapshot(template.snapshot())
    for kind in ("plain", "signed"):
        assert read_skeleton(again, f"../shared/{kind}")[0].content == f"shared/{kind}".encode()


def test_a_folder_that_only_a_condition_offers_can_be_fetched(source):
    branches = [
        {"properties": {"signs": {"const": False}, "kind": {"const": "./plain"}}},
        {"properties": {"signs": {"const": True}, "kind": {"const": "./signed"}}},
    ]
    fields = {"signs": {"type": "boolean"}}
    found = source("${{ parameters.kind }}", fields, ["svc/signed"], dependencies={"signs": {"oneOf": branches}})
    assert read_skeleton(found.get("svc"), "./signed")[0].content == b"svc/signed"


def test_what_comes_after_the_expression_counts(source):
    fields = {"base": {"enum": ["../shared"]}, "kind": {"type": "string"}}
    found = source("${{ parameters.base }}/go/${{ parameters.kind }}", fields, ["shared/go/web", "shared/java"])
    template = found.get("svc")
    assert [one.content for one in read_skeleton(template, "../shared/go/web")] == [b"shared/go/web"]
    with pytest.raises(ValidationError):
        read_skeleton(template, "../shared/java")


def test_a_folder_that_nothing_offers_cannot_be_fetched(source):
    template = source("${{ parameters.kind }}", {"kind": OFFERED}, ["shared/plain", "shared/signed", "private"]).get(
        "svc"
    )
    for folder in ("../private", "../shared", "../../etc"):
        with pytest.raises(ValidationError, match="no skeleton folder"):
            read_skeleton(template, folder)


def test_a_changed_folder_that_a_form_offers_is_a_new_version(source, tmp_path):
    found = source("${{ parameters.kind }}", {"kind": OFFERED}, ["shared/plain", "shared/signed"])
    before = found.get("svc").version
    (tmp_path / "shared" / "signed" / "y").write_text("new")
    assert found.get("svc").version != before


def test_an_offered_folder_that_is_missing_is_a_warning_and_the_others_can_be_fetched(source):
    found = source("${{ parameters.kind }}", {"kind": OFFERED}, ["shared/plain"])
    (warning,) = found.list().warnings
    assert (warning.severity, warning.key) == (Severity.WARNING, "spec.steps[0].input.url")
    assert "../shared/signed" in warning.message
    assert read_skeleton(found.get("svc"), "../shared/plain")


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("${{ parameters.kind }}", {"enum": ["https://github.com/acme/a/tree/main/x", "https://github.com/acme/b"]}),
        ("${{ 'go' if parameters.kind == 'web' else 'java' }}", {"enum": ["web"]}),
        ("https://github.com/acme/${{ parameters.kind }}", {"enum": ["./x"]}),
        ("${{ parameters.kind }}", {"type": "string"}),
        ("${{ parameters.kind", {"enum": ["./x"]}),
        ("${{ parameters.kind }}", {"enum": [1, None, "/etc", "a\\b"]}),
    ],
)
def test_addresses_and_what_is_no_path_are_no_folders(source, url, field):
    found = source(url, {"kind": field}, [])
    assert not found.get("svc").skeleton_files
    assert not [one for one in found.list().warnings if "skeleton" in one.message]


def test_of_many_folders_the_one_that_they_are_in_is_taken_as_a_whole(source):
    kinds = [f"kind-{number}" for number in range(30)]
    fields = {"kind": {"enum": [f"./stacks/{kind}" for kind in kinds]}}
    template = source("${{ parameters.kind }}", fields, [f"svc/stacks/{kind}" for kind in kinds]).get("svc")
    assert len(template.skeleton_files) == len(kinds)
    assert read_skeleton(template, "./stacks/kind-29")[0].content == b"svc/stacks/kind-29"
