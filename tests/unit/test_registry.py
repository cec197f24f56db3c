from __future__ import annotations

import sys
import types
from importlib.metadata import EntryPoint

import pytest
from marshmallow import Schema, fields

from portal_actions_plugin.actions import registry
from portal_actions_plugin.actions.registry import GROUP, Action, Registry, action
from portal_actions_plugin.errors import ConfigurationError, NotFoundError, ValidationError
from portal_actions_plugin.scm.base import Operation


class Distribution:
    def __init__(self, name):
        self.name = name


class Message(Schema):
    text = fields.String(required=True)
    token = fields.String(load_only=True)
    api_key = fields.String(data_key="apiKey", metadata={"secret": True})


def declare(action_id="acme.say@v1", **options):
    @action(action_id, title="Say", input=Message, **options)
    def say(ctx, text):
        """Say it.

        At length.
        """
        return {"said": text}

    return say


def a_module(name, monkeypatch, **members):
    module = types.ModuleType(name)
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, name, module)
    return name


def installed(monkeypatch, *points):
    """Pretend that packages have these entry points: (package, name, value)."""
    made = []
    for package, name, value in points:
        point = EntryPoint(name, value, GROUP)
        made.append(point._for(Distribution(package)) if package else point)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point for point in made if point.group == group])


class TestDeclaring:
    def test_the_decorated_name_becomes_the_action(self):
        said = declare(max_attempts=5, permissions=("acme:say",))
        assert isinstance(said, Action)
        assert (said.id, said.title, said.description) == ("acme.say@v1", "Say", "Say it.")
        assert (said.max_attempts, said.permissions, said.idempotent) == (5, ("acme:say",), False)
        assert said.run(None, {"text": "hi"}) == {"said": "hi"}

    @pytest.mark.parametrize(
        "bad",
        [
            "say",
            "say@1",
            "Say@v1",
            "acme..say@v1",
            "acme.say@v0",
            "a b@v1",
            "",
            "acme.say@v1\n",
            "a:",
            ":a",
            "a::b",
            "a:b c",
            "a:ä",
        ],
    )
    def test_an_id_is_a_name_and_a_version(self, bad):
        with pytest.raises(ConfigurationError, match=r"write it like scm\.createRepo@v1"):
            declare(bad)

    @pytest.mark.parametrize(
        "name", ["fetch:plain", "acme:things:get_all", "acme:createToken:gitlab", "acme-2:make-it"]
    )
    def test_or_a_name_as_backstage_has_them(self, name):
        assert declare(name).id == name

    @pytest.mark.parametrize("options", [{"timeout": 0}, {"max_attempts": 0}])
    def test_numbers_out_of_range_are_refused(self, options):
        with pytest.raises(ConfigurationError, match=r"acme\.say@v1"):
            declare(**options)

    def test_a_wrong_input_names_every_field(self):
        with pytest.raises(ValidationError) as caught:
            declare().load_input({"text": 1, "more": 2})
        assert set(caught.value.fields) == {"text", "more"}
        assert "acme.say@v1" in caught.value.message

    @pytest.mark.parametrize("fixed", [True, False])
    def test_whether_it_may_be_repeated_is_fixed_or_asked_of_the_open_input(self, fixed):
        assert declare(idempotent=fixed).may_be_repeated({}) is fixed
        asked = []
        said = declare(idempotent=lambda data: asked.append(data) or fixed)
        assert said.may_be_repeated({"text": "hi", "token": "t", "apiKey": "k"}) is fixed
        assert asked == [{"text": "hi"}]

    def test_secret_fields_are_known_by_their_input_names(self):
        assert declare().secret_names() == {"token", "apiKey"}

    def test_what_it_asks_of_a_forge_is_said_at_once_or_by_its_input(self):
        assert declare().operations_for({}) == frozenset()
        assert declare(operations=(Operation.COMMIT,)).operations_for({}) == {Operation.COMMIT}
        asked = []
        said = declare(operations=lambda data: asked.append(data) or [Operation.READ])
        assert said.operations_for({"text": "hi", "token": "s3cret", "apiKey": "s3cret"}) == {Operation.READ}
        assert asked == [{"text": "hi"}]
        with pytest.raises(ConfigurationError, match=r"acme.say@v1: its operations answered"):
            declare(operations=lambda data: ["commit"]).operations_for({})


class TestLoading:
    def test_every_action_of_every_entry_point_is_there(self, monkeypatch):
        mine = a_module("acme_actions", monkeypatch, say=declare(), shout=declare("acme.shout@v1"), other="text")
        installed(monkeypatch, ("acme-actions", "acme", mine))
        found = Registry.from_entry_points()
        assert [declared.id for declared in found] == ["acme.say@v1", "acme.shout@v1"]
        assert "acme.say@v1" in found
        assert found.get("acme.say@v1").title == "Say"

    def test_two_apps_do_not_share_a_registry(self, monkeypatch):
        installed(monkeypatch, ("acme-actions", "acme", a_module("acme_actions", monkeypatch, say=declare())))
        first = Registry.from_entry_points()
        installed(monkeypatch)
        assert list(Registry.from_entry_points()) == []
        assert len(list(first)) == 1

    def test_a_duplicate_id_names_both_packages(self, monkeypatch):
        one = a_module("acme_actions", monkeypatch, say=declare())
        two = a_module("globex_actions", monkeypatch, say=declare())
        installed(monkeypatch, ("globex-actions", "globex", two), ("acme-actions", "acme", one))
        with pytest.raises(ConfigurationError) as caught:
            Registry.from_entry_points()
        assert caught.value.message == (
            "The action acme.say@v1 is registered twice: "
            "first by acme-actions (entry point acme = acme_actions), "
            "then by globex-actions (entry point globex = globex_actions). Remove one of them."
        )

    def test_an_action_that_a_second_module_imports_is_no_duplicate(self, monkeypatch):
        said = declare()
        one = a_module("acme_actions", monkeypatch, say=said)
        two = a_module("more_actions", monkeypatch, imported=said)
        installed(monkeypatch, ("acme", "a", one), ("acme", "b", two))
        assert len(list(Registry.from_entry_points())) == 1

    @pytest.mark.parametrize("value", ["no_such_module_at_all", "no_such_module_at_all.inner"])
    def test_a_broken_entry_point_names_the_package(self, monkeypatch, value):
        installed(monkeypatch, ("broken-actions", "broken", value))
        with pytest.raises(ConfigurationError, match=rf"broken-actions \(entry point broken = {value}\)"):
            Registry.from_entry_points()

    def test_a_module_that_raises_names_the_package(self, monkeypatch, tmp_path):
        (tmp_path / "raising_actions.py").write_text("1 / 0")
        monkeypatch.syspath_prepend(tmp_path)
        installed(monkeypatch, ("raising", "boom", "raising_actions"))
        with pytest.raises(ConfigurationError, match=r"raising \(entry point boom.*ZeroDivisionError"):
            Registry.from_entry_points()

    def test_a_bad_id_in_a_package_names_the_package(self, monkeypatch, tmp_path):
        (tmp_path / "bad_id_actions.py").write_text(
            "from marshmallow import Schema\n"
            "from portal_actions_plugin.actions.registry import action\n"
            "action('say', title='Say', input=Schema)(print)\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        installed(monkeypatch, ("bad-ids", "bad", "bad_id_actions"))
        with pytest.raises(ConfigurationError, match=r"bad-ids \(entry point bad .*'say' is not an action id"):
            Registry.from_entry_points()

    def test_an_entry_point_that_is_no_module_names_the_package(self, monkeypatch):
        installed(monkeypatch, ("acme", "acme", a_module("acme_actions", monkeypatch, say=declare()) + ":say"))
        with pytest.raises(ConfigurationError, match=r"acme \(entry point acme .* not a module"):
            Registry.from_entry_points()

    def test_an_entry_point_without_a_package_is_named_too(self, monkeypatch):
        installed(monkeypatch, (None, "loose", "no_such_module_at_all"))
        with pytest.raises(ConfigurationError, match="an unknown package"):
            Registry.from_entry_points()

    def test_an_unknown_action_is_not_found(self):
        with pytest.raises(NotFoundError, match=r"no action acme\.say@v1"):
            Registry().get("acme.say@v1")


def test_the_built_in_actions_are_those_of_the_contract():
    versioned = [declared.id for declared in Registry.from_entry_points() if "@" in declared.id]
    assert versioned == [
        "catalog.registerEntity@v1",
        "ci.bootstrap@v1",
        "ci.dispatchWorkflow@v1",
        "debug.log@v1",
        "debug.wait@v1",
        "docs.bootstrap@v1",
        "http.request@v1",
        "k8s.bootstrap@v1",
        "scm.addCollaborators@v1",
        "scm.closePr@v1",
        "scm.createIssue@v1",
        "scm.createOrUpdateFile@v1",
        "scm.createRepo@v1",
        "scm.ensureWebhook@v1",
        "scm.labelIssue@v1",
        "scm.mergePr@v1",
        "scm.openPrOrMr@v1",
        "scm.protectBranch@v1",
        "scm.pushSkeleton@v1",
        "scm.setTopics@v1",
        "scm.setVariable@v1",
        "scorecards.evaluate@v1",
    ]
