"""What no schema can say of an operation, so that generated ones are also taken: identifiers with a normal form, a time before now.

Read by schemathesis beside the interface's description; only cases that fit the schema are brought into a normal form.
"""

import hashlib
import json
from typing import Any

import schemathesis

NORMAL = {
    "card": "4111111111111111", "phone": "+996555000001", "country": "KG", "ip": "192.0.2.10",
    "virtual_asset_address": "0x" + "a1" * 20,
}  # fmt: skip
IDS = {"/v1/operations": "operation_id", "/v1/events": "event_id", "/v1/outcomes": "outcome_id"}
RECORDED = "recorded-before"
"""An operation that the test sends first, so that outcomes have one."""
PARTS = ("sender", "recipient", "customer", "device", "access", "funding")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Bring a body that fits the schema into a form that is taken."""
    fits = case.meta is not None and case.meta.generation.mode.is_positive
    if fits and isinstance(case.body, dict) and "version" in case.body:
        case.body = {**case.body, "version": int(case.body["version"])}  # 1.0 is an integer to JSON Schema, and refused here
    if not (fits and isinstance(case.body, dict) and case.operation.path in IDS):
        return
    case.body = {name: _normal(name, value) for name, value in case.body.items()}
    if case.body.get("verdict") == "legitimate":
        case.body.pop("scheme", None)  # which only a fraud has
    if case.operation.path == "/v1/outcomes" and case.meta.phase.name.value != "stateful":  # where links name it
        case.body["operation_id"] = RECORDED
    case.body[IDS[case.operation.path]] = hashlib.sha256(json.dumps(case.body).encode()).hexdigest()  # no conflict by chance


def _normal(name: str, value: Any) -> Any:
    if name == "occurred_at":
        return "2025-06-02T10:00:00+06:00"
    if name == "known_at":  # later than any operation
        return "2025-06-04T10:00:00+06:00"
    if name == "amount":
        return {**value, "minor": int(value["minor"]) % 10**6}  # 1.0 is an integer to JSON Schema, and refused here
    if name in PARTS and value is not None:
        return {field: NORMAL.get(field, "a-1") if isinstance(held, str) else held for field, held in value.items()} | (
            {"account": "acc-1"} if name in PARTS[:3] else {}
        )
    return value
