"""The OpenAPI document is true: schemathesis goes through it against a running demo portal and finds nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.support.demo_server import DemoServer, demo_server
from tests.support.portal import create_app
from tests.support.waiting import PATIENCE_SECONDS, wait_until

CONFIG = Path(__file__).parent.parent / "support" / "schemathesis.toml"
AT_LEAST = 2_000
FILE = "GET /api/v1/template-runs/{run_id}/workspace/file"
"""The run that fails has cleaned up by then: tests/web/test_workspace_pages.py has files."""

NEVER = {"GET /api/v1/audit", FILE}
"""What a developer cannot do: read the audit, which an administrator's run reaches; and get a file where there is none."""


@dataclass
class Found:
    """What a run of schemathesis sent and was answered, by operation."""

    cases: int = 0
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))

    def succeeded(self) -> set[str]:
        return {name for name, counts in self.statuses.items() if any(200 <= status < 400 for status in counts)}

    def all_statuses(self) -> set[int]:
        return {status for counts in self.statuses.values() for status in counts}


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoServer]:
    with demo_server() as server:
        yield server


@pytest.fixture(scope="module")
def url(demo: DemoServer) -> str:
    """A web server on which nobody comes to the limit."""
    return demo.web(PORTAL_ACTIONS_RATE_LIMIT="1000000 per minute")


def go_through(demo: DemoServer, url: str, token: str, *options: str, document: Any = None) -> Found:
    """Run schemathesis with all checks; fails with what it found."""
    report = demo.folder / "report.ndjson"
    location = f"{url}/api/v1/openapi.json"
    if document is not None:
        location = str(demo.folder / "document.json")
        Path(location).write_text(json.dumps(document))
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", location, "--url", url,
        "--header", f"Authorization: Bearer {token}", "--checks", "all", "--no-color", "--no-shrink",
        "--continue-on-failure", "--suppress-health-check", "all", "--request-timeout", str(PATIENCE_SECONDS),
        "--report", "ndjson", "--report-ndjson-path", str(report), *options,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=demo.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    return read(report)


def read(report: Path) -> Found:
    found = Found()
    for line in report.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for case_id, checks in recorder.get("checks", {}).items():
            assert {check["status"] for check in checks} == {"success"}
            case = recorder["cases"][case_id]["value"]
            found.cases += 1
            if interaction := recorder["interactions"].get(case_id):
                status = interaction["response"]["status_code"]
                found.statuses[f"{case['method']} {case['path']}"][status] += 1
    return found


def operations(document: Any) -> dict[str, Any]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in ("get", "post")
    }


def ask(address: str) -> Any:
    request = urllib.request.Request(address, headers={"Authorization": "Bearer demo-developer"})
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        return json.load(answer)


# -- the document ------------------------------------------------------------------------------------------------------


@pytest.fixture
def document(tmp_path: Path) -> Any:
    return create_app(INSTANCE_PATH=str(tmp_path)).test_client().get("/api/v1/openapi.json").json


def test_the_document_is_openapi_3_1(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_operation_has_a_name_a_tag_that_is_explained_and_an_example_of_what_it_answers(document: Any) -> None:
    found = operations(document)
    assert len({operation["operationId"] for operation in found.values()}) == len(found)
    explained = {tag["name"] for tag in document["tags"] if tag["description"]}
    for name, operation in found.items():
        assert set(operation["tags"]) <= explained, name
        assert "default" not in operation["responses"], name
        contents = [one["content"] for one in operation["responses"].values() if "content" in one]
        assert contents, name
        assert all("example" in media for content in contents for media in content.values()), name
        if "requestBody" in operation:
            assert "example" in operation["requestBody"]["content"]["application/json"], name


@pytest.mark.fault("F41")
def test_every_operation_is_described_beyond_its_summary(document: Any) -> None:
    for name, operation in operations(document).items():
        assert operation["description"].endswith("."), name
        assert operation["description"] != operation["summary"], name


@pytest.mark.fault("F41")
@pytest.mark.parametrize(
    ("word", "name"), [("queued", "RunStatus"), ("skipped", "StepStatus"), ("denied", "AuditOutcome")]
)
def test_what_a_status_may_be_is_said_in_one_place(document: Any, word: str, name: str) -> None:
    found = [place for place, words in enums(document, "") if word in words]
    assert [place.split("/")[:4] for place in found] == [["", "components", "schemas", name]]


def test_what_has_a_status_refers_to_the_one_place(document: Any) -> None:
    shapes = document["components"]["schemas"]
    for shape, name in (("ActionRun", "RunStatus"), ("TemplateRunDetail", "RunStatus"), ("Step", "StepStatus")):
        assert shapes[shape]["properties"]["status"] == {"$ref": f"#/components/schemas/{name}"}
    [status] = [
        one for one in document["paths"]["/api/v1/action-runs"]["get"]["parameters"] if one.get("name") == "status"
    ]
    assert status["schema"]["items"] == {"$ref": "#/components/schemas/RunStatus"}


def enums(node: Any, place: str) -> Iterator[tuple[str, list[Any]]]:
    if isinstance(node, dict):
        if isinstance(node.get("enum"), list):
            yield place, node["enum"]
        for name, value in node.items():
            yield from enums(value, f"{place}/{name}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from enums(value, f"{place}/{number}")


def test_every_example_is_what_its_schema_says(document: Any) -> None:
    registry = Registry().with_resource("urn:document", Resource(document, DRAFT202012))
    checked = 0
    for place, schema, example in examples(document, "#"):
        validator = Draft202012Validator(
            absolute(schema), registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER
        )
        assert [error.message for error in validator.iter_errors(example)] == [], place
        checked += 1
    assert checked > 40


def examples(node: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(node, dict):
        if "schema" in node and "example" in node:
            yield place, node["schema"], node["example"]
        for name, value in node.items():
            yield from examples(value, f"{place}/{name}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from examples(value, f"{place}/{number}")


def absolute(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {name: f"urn:document{value}" if name == "$ref" else absolute(value) for name, value in schema.items()}
    return [absolute(one) for one in schema] if isinstance(schema, list) else schema


def test_paths_servers_and_locations_have_the_prefixes_of_the_portal(tmp_path: Path) -> None:
    app = create_app(
        INSTANCE_PATH=str(tmp_path),
        PORTAL_ACTIONS_API_PREFIX="/self-service/api",
        PORTAL_ACTIONS_PUBLIC_URL="https://portal.example.com/dev/",
    )
    document = app.test_client().get("/self-service/api/openapi.json").json
    assert all(path.startswith("/self-service/api/") for path in document["paths"])
    assert document["servers"] == [{"url": "https://portal.example.com/dev"}]


def test_without_a_public_address_the_server_is_where_the_portal_was_found(tmp_path: Path) -> None:
    client = create_app(INSTANCE_PATH=str(tmp_path)).test_client()
    for root, server in (("", "/"), ("/portal", "/portal")):
        answer = client.get("/api/v1/openapi.json", environ_overrides={"SCRIPT_NAME": root})
        assert answer.json["servers"] == [{"url": server}]


# -- against a running portal ------------------------------------------------------------------------------------------


@pytest.mark.timeout(1800)
def test_a_developer_finds_nothing_that_the_document_does_not_say(demo: DemoServer, url: str) -> None:
    document = with_real_runs(ask(f"{url}/api/v1/openapi.json"), url)
    found = go_through(demo, url, "demo-developer", "--max-examples", "42", document=document)
    assert found.cases >= AT_LEAST
    assert set(operations(document)) - found.succeeded() == NEVER
    assert {200, 202, 304, 403, 404, 405, 409, 422} <= found.all_statuses()
    assert "Traceback" not in demo.log("web")


@pytest.mark.timeout(1800)
def test_what_fits_the_schema_of_an_action_or_template_starts_it_and_nothing_else_does(
    demo: DemoServer, url: str
) -> None:
    document = with_real_inputs(ask(f"{url}/api/v1/openapi.json"), url)
    # No database keeps a NUL, so no input may hold one, whatever its schema says.
    options = ("--max-examples", "10", "--generation-allow-x00", "false")
    found = go_through(demo, url, "demo-developer", *options, document=document)
    for path in ("actions/debug.log@v1", "templates/add-codeowners"):
        assert {202, 422} <= set(found.statuses[f"POST /api/v1/{path}/runs"])
    assert "Traceback" not in demo.log("web")


def with_real_runs(document: Any, url: str) -> Any:
    """The document with runs as examples that are what each operation is for."""
    ended = start(url, "actions/debug.log@v1", {"input": {"message": "hello"}})
    # There is a repository of that name: it fails after a step with `each` in a workspace, and cleans up.
    failed = start(url, "templates/component-with-environments", {"inputs": {"owner": "acme", "name": "orders"}})
    for run in (ended, failed):
        wait_until(lambda run=run: ask(f"{url}{run}")["status"] in ("success", "failed"))
    assert [ask(f"{url}{run}")["status"] for run in (ended, failed)] == ["success", "failed"]
    # Its only worker is busy for some time: what is started after them waits, and can be canceled.
    waits = [start(url, "actions/debug.wait@v1", {"input": {"seconds": 60}}) for _ in range(2)]
    queued = start(url, "templates/add-codeowners", {"inputs": {"owner": "acme", "repo": "orders", "team": "orders"}})
    for kind, run, to_cancel in (("action-runs", ended, waits[1]), ("template-runs", failed, queued)):
        for path, item in document["paths"].items():
            if f"/{kind}/{{run_id}}" in path:
                real = {"run_id": (to_cancel if path.endswith("/cancel") else run).rpartition("/")[2], "position": "1"}
                for parameter in item["parameters"]:
                    parameter["example"] = real[parameter["name"]]
    return document


def start(url: str, what: str, body: Any) -> str:
    """Start something; the run's path."""
    request = urllib.request.Request(
        f"{url}/api/v1/{what}/runs",
        data=json.dumps(body).encode(),
        headers={"Authorization": "Bearer demo-developer", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        return str(answer.headers["Location"])


def with_real_inputs(document: Any, url: str) -> Any:
    """The document with one action and one template to start, each with the schema that the API says it has."""
    document = deepcopy(document)
    for kind, name, inputs in (("actions", "debug.log@v1", "input"), ("templates", "add-codeowners", "inputs")):
        parameter = "{action_id}" if kind == "actions" else "{name}"
        schema = ask(f"{url}/api/v1/{kind}/{name}")[f"{inputs}_schema"]
        if "provider" in schema["properties"]:
            schema["properties"]["provider"]["const"] = "local"  # no schema knows which forges a portal has
        operation = document["paths"].pop(f"/api/v1/{kind}/{parameter}/runs")["post"]
        # Else what is refused may be the key, that was used for something else, and not the inputs.
        del operation["parameters"]
        operation["operationId"] = f"start_{name}"
        operation["requestBody"] = {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {inputs: schema},
                        "required": [inputs],
                        "additionalProperties": False,
                    }
                }
            },
        }
        document["paths"][f"/api/v1/{kind}/{name}/runs"] = {"post": operation}
    runs = {path: item for path, item in document["paths"].items() if "runs/" in path or path.endswith("/runs")}
    return {**document, "paths": runs}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("token", "never"), [("demo-viewer", 403), ("demo-admin", None)])
def test_viewers_and_administrators_find_nothing_either(
    demo: DemoServer, url: str, token: str, never: int | None
) -> None:
    found = go_through(demo, url, token, "--max-examples", "3")
    starts = found.statuses["POST /api/v1/actions/{action_id}/runs"]
    assert (never in starts) and 202 not in starts if never else 202 in starts
    assert (200 in found.statuses["GET /api/v1/audit"]) == (token == "demo-admin")


@pytest.mark.timeout(1800)
def test_the_default_limit_answers_429_as_the_document_says(demo: DemoServer) -> None:
    url = demo.web()
    document = with_real_inputs(ask(f"{url}/api/v1/openapi.json"), url)
    options = ("--phases", "examples,coverage", "--include-method", "POST", "--generation-allow-x00", "false")
    found = go_through(demo, url, "demo-developer", *options, document=document)
    assert 429 in found.all_statuses()
