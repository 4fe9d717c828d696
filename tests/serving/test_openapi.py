"""The running interface against its own description: what schemathesis makes of the one is answered as the other says."""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from casework.keys import Scope
from serving.description import description
from serving.routes import REFUSALS, ROUTES
from tests.serving.examples import body, operation
from tests.serving.running import REPOSITORY, Server
from tests.serving.schemathesis_hooks import RECORDED

CONFIGURATION = f"""
hooks = {str(REPOSITORY / "tests" / "serving" / "schemathesis_hooks.py")!r}
[checks.positive_data_acceptance]
expected-statuses = ["200", "404", "409"]
[[operations]]
include-path = "/v1/outcomes"  # of an operation that is not recorded: 422
checks.positive_data_acceptance.expected-statuses = ["200", "409", "422"]
[[operations]]
include-path-regex = "^/v1/(registry|proposals)"  # identifiers without a normal form, and a second person who is the first
checks.positive_data_acceptance.expected-statuses = ["200", "403", "404", "409", "422"]
[[operations]]
include-path-regex = "^/v1/(rules|policies)/"  # an expression that does not compile: 422
checks.positive_data_acceptance.expected-statuses = ["200", "404", "409", "422"]
"""
"""All checks, but that 404 and 409 are answers to what fits the schema, and which other ones are not."""


def statuses(report: Path) -> dict[str, Counter[int]]:
    """How often each status came, by route; what the stateful phase did is under `stateful`."""
    found: dict[str, Counter[int]] = defaultdict(Counter)
    for line in report.read_text(encoding="utf-8").splitlines():
        event = json.loads(line).get("ScenarioFinished")
        if event is None:
            continue
        label = "stateful" if event["phase"] == "stateful" else event["recorder"]["label"]
        for interaction in event["recorder"].get("interactions", {}).values():
            found[label][(interaction["response"] or {}).get("status_code", 0)] += 1
    return found


def test_whatever_schemathesis_sends_is_answered_as_described(server: Server, tmp_path: Path):
    """All checks in all phases, authentication and links between routes among them, from a fixed seed."""
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    (tmp_path / "openapi.json").write_text(json.dumps(description()))
    assert server.ask("POST", "/v1/operations", body(operation(operation_id=RECORDED))).status == 200
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", "openapi.json", "--url", server.url, "--checks", "all", "--seed", "1",
               "--generation-deterministic", "--max-examples", "10", "--no-shrink", "--no-color",
               "--continue-on-failure", "--header", f"Authorization: Bearer {server.key}", "--report-ndjson-path", "report.ndjson"]  # fmt: skip
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    found = statuses(tmp_path / "report.ndjson")
    assert found.keys() == {f"{route.method} {route.path}" for route in ROUTES} | {"stateful"}
    assert sum(sum(answers.values()) for answers in found.values()) > 1_000
    assert not any(status in (0, 500, 503) for answers in found.values() for status in answers)
    for route in ("POST /v1/operations", "POST /v1/events", "POST /v1/outcomes", "stateful"):
        assert found[route][200] > 20, (route, "what is sent is not only refused")


# ---- the description itself --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def document() -> dict:
    return description()


def test_the_server_tells_this_description(server, document):
    assert server.ask("GET", "/openapi.json").json == document


def test_every_answer_of_every_route_has_a_type(document):
    for path, methods in document["paths"].items():
        for route in methods.values():
            assert {"200", "400", "408", "414", "431", "500"} <= set(route["responses"]), path
            for status, answer in route["responses"].items():
                ((media, content),) = answer["content"].items()
                assert content["schema"], (path, status)
                if status not in ("200", "503"):
                    assert (media, content["schema"]["$ref"]) == ("application/json", "#/components/schemas/Refusal")


def test_retry_after_and_the_challenge_are_described_wherever_they_come(document):
    for path, methods in document["paths"].items():
        for route in methods.values():
            for status, header in (("401", "WWW-Authenticate"), ("429", "Retry-After"), ("503", "Retry-After")):
                if status in route["responses"] and path != "/readyz":
                    assert header in route["responses"][status]["headers"]


def test_every_pattern_is_said_in_words_too(document):
    def patterns(part: Any) -> Iterator[dict[str, Any]]:
        if isinstance(part, dict) and isinstance(part.get("pattern"), str):
            yield part
        for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            yield from patterns(inner)

    found = [*patterns(document["components"]["schemas"])]
    assert len(found) > 10
    assert all(part.get("description") for part in found), [part for part in found if not part.get("description")]


def test_every_string_and_number_that_a_record_may_carry_is_bounded(document):
    schemas = document["components"]["schemas"]
    names = ["Operation", "Event", "Outcome", "Party", "Device", "Access", "Funding", "Money"]
    for name in names:
        for field, schema in schemas[name]["properties"].items():
            for part in schema.get("anyOf", [schema]):
                if part.get("type") == "string":
                    assert part.keys() & {"maxLength", "enum", "format"} or part["pattern"] in ("^[0-9]{4}$(?!\\n)",), (
                        name,
                        field,
                    )
                if part.get("type") in ("integer", "number"):
                    assert {"minimum", "maximum"} <= part.keys(), (name, field)
        assert schemas[name]["additionalProperties"] is False


def test_every_refusal_that_is_described_has_words(document):
    assert {status for route in ROUTES for status in route.refusals} == set(REFUSALS)
    assert all(route.scope in {*Scope, None} for route in ROUTES)
    assert len({route.operation_id for route in ROUTES}) == len(ROUTES)
