from __future__ import annotations

import time

import pytest

from portal_actions_plugin.actions.catalog import register_entity
from portal_actions_plugin.actions.debug import log_message, wait
from portal_actions_plugin.errors import ConfigurationError, ValidationError
from tests.support.action_helpers import LostError, MemoryRecorder, make_context

COMPONENT = {"kind": "component", "name": "shop", "ownerRef": "team:platform"}


class Catalog:
    """A host's catalog: keyed as the contract says."""

    def __init__(self):
        self.entities = {}

    def register_entity(self, entity, source):
        key = "{kind}:{namespace}/{name}".format(**entity)
        self.entities[key] = (dict(entity), source)
        return key


class TestRegisterEntity:
    def test_the_catalog_gets_the_entity_with_all_of_its_keys(self):
        catalog = Catalog()
        ctx = make_context(host_catalog=catalog)
        entity = {**COMPONENT, "spec": {"type": "service"}, "tags": ["python"]}
        outputs = register_entity.run(ctx, {"entity": entity, "source": "https://forge.example/acme/shop"})
        assert outputs == {"entityId": "component:default/shop"}
        kept = ({**entity, "namespace": "default"}, "https://forge.example/acme/shop")
        assert catalog.entities == {"component:default/shop": kept}
        assert ctx.recorder.text == "registered component:default/shop as component:default/shop"

    def test_done_twice_there_is_one_entity(self):
        catalog = Catalog()
        first = register_entity.run(make_context(host_catalog=catalog), {"entity": COMPONENT})
        assert register_entity.run(make_context(host_catalog=catalog), {"entity": COMPONENT}) == first
        assert len(catalog.entities) == 1

    def test_a_portal_without_a_catalog_says_what_is_missing(self):
        with pytest.raises(ConfigurationError, match="catalog"):
            register_entity.run(make_context(), {"entity": COMPONENT})

    def test_a_lost_attempt_registers_nothing(self):
        catalog = Catalog()
        with pytest.raises(LostError):
            register_entity.run(
                make_context(MemoryRecorder(lose_at_guard=1), host_catalog=catalog), {"entity": COMPONENT}
            )
        assert catalog.entities == {}

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("kind", "a b"),
            ("kind", ""),
            ("name", "-x"),
            ("name", "x" * 64),
            ("name", "a\n"),
            ("namespace", "A"),
            ("namespace", "a--b"),
            ("ownerRef", "a b"),
            ("ownerRef", ""),
        ],
    )
    def test_a_wrong_name_is_named(self, field, value):
        with pytest.raises(ValidationError) as caught:
            register_entity.load_input({"entity": {**COMPONENT, field: value}})
        assert set(caught.value.fields["entity"]) == {field}

    @pytest.mark.parametrize(
        "owner", ["platform", "team:platform", "group:default/platform", "user:default/ada", "user:ada@example.com"]
    )
    def test_owners_are_references(self, owner):
        loaded = register_entity.load_input({"entity": {**COMPONENT, "ownerRef": owner}})
        assert loaded["entity"]["ownerRef"] == owner

    def test_kind_and_name_are_demanded(self):
        with pytest.raises(ValidationError) as caught:
            register_entity.load_input({"entity": {}})
        assert set(caught.value.fields["entity"]) == {"kind", "name"}


class TestLog:
    def test_the_message_is_a_line_of_the_log(self):
        ctx = make_context()
        assert log_message.run(ctx, {"message": "hello"}) == {}
        assert ctx.recorder.lines == [("info", "hello")]

    @pytest.mark.parametrize("message", ["", "x" * 4001, None, 5])
    def test_the_message_is_text_of_a_sane_length(self, message):
        with pytest.raises(ValidationError) as caught:
            log_message.load_input({"message": message})
        assert set(caught.value.fields) == {"message"}


class TestWait:
    def test_it_waits_and_says_so(self):
        ctx = make_context()
        started = time.monotonic()
        assert wait.run(ctx, {"seconds": 0.3}) == {}
        assert time.monotonic() - started >= 0.3
        assert ctx.recorder.text == "waiting 0.3 seconds"
        assert ctx.recorder.looks == 0

    def test_it_stops_when_the_run_is_canceled(self):
        ctx = make_context(MemoryRecorder(cancel_at_look=2))
        wait.run(ctx, {"seconds": 3600})
        assert ctx.recorder.looks == 2

    def test_it_asks_the_database_only_every_half_second(self):
        ctx = make_context()
        wait.run(ctx, {"seconds": 1.2})
        assert ctx.recorder.looks <= 2

    def test_no_time_at_all_is_fine(self):
        assert wait.run(make_context(), {"seconds": 0}) == {}

    @pytest.mark.parametrize("seconds", [-1, 3601, "soon", None, "nan", "inf"])
    def test_what_is_no_time_is_refused(self, seconds):
        with pytest.raises(ValidationError) as caught:
            wait.load_input({"seconds": seconds})
        assert set(caught.value.fields) == {"seconds"}

    def test_its_timeout_lets_the_longest_wait_end(self):
        assert wait.timeout > 3600


@pytest.mark.parametrize("action", [register_entity, log_message, wait])
def test_it_may_simply_be_done_again_and_is_described(action):
    assert action.idempotent
    assert action.description
    assert all(field.metadata.get("description") for field in action.input().fields.values())
