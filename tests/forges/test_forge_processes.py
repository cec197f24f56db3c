"""A double in a process of its own does what a test orders from another one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3

from tests.support.forges import control
from tests.support.forges.client import Client
from tests.support.forges.control import RemoteDouble
from tests.support.forges.faults import Hang, Reset
from tests.support.forges.rate_limit import Rate


@pytest.fixture(scope="module")
def remote() -> Iterator[RemoteDouble]:
    with control.in_a_process("tests.support.forges.github") as running:
        yield running


@pytest.fixture
def ada(remote: RemoteDouble) -> Iterator[Client]:
    with urllib3.PoolManager() as http:
        yield Client(http, remote.facts["api_url"], remote.facts["token"])


def test_its_state_is_set_and_seen_from_outside(remote: RemoteDouble, ada: Client) -> None:
    remote.call("add_repository", "acme/seeded", {"a": "1"})
    ada.ok("POST", "/orgs/acme/repos", {"name": "made", "auto_init": True})
    assert remote.call("repositories") == ["acme/seeded", "acme/made"]
    assert [one.message for one in remote.call("commits", "acme/made")] == ["Initial commit"]
    assert remote.call("files", "acme/seeded") == {"a": b"1"}


def test_faults_are_ordered_from_outside(remote: RemoteDouble, ada: Client) -> None:
    order = remote.order("POST", "/orgs/*/repos", Reset(), after=True)
    with pytest.raises(urllib3.exceptions.ProtocolError):
        ada("POST", "/orgs/acme/repos", {"name": "lost"})
    assert order.fired == 1
    assert "acme/lost" in remote.call("repositories")
    hanging = remote.order("GET", "/user", Hang())
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ada, "GET", "/user")
        hanging.wait()
        hanging.release()
        assert answer.result().status == 200


def test_its_limit_and_its_log_are_at_hand(remote: RemoteDouble, ada: Client) -> None:
    remote.limit(Rate(1, 3600))
    assert [ada("GET", "/user").status for _ in range(2)] == [200, 429]
    remote.limit(None)
    assert remote.log()[-1].endswith("GET /user → 429 (ada's token)")
    assert remote.where_seen(ada.token or "") == []
