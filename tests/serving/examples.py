"""Records as callers send them, for the tests of serving and casework."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2025, 6, 2, 4, 0, tzinfo=UTC)


def operation(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A domestic transfer of one of seven customers to one of five phones; `changes` replace its fields, None takes one out."""
    record = {
        "operation_id": f"op-{number}",
        "occurred_at": (START + timedelta(seconds=number)).isoformat(),
        "kind": "domestic_transfer",
        "amount": {"minor": 10_000 + 37 * (number % 101), "currency": "KGS"},
        "sender": {"customer_id": f"c-{number % 7}", "account": f"acc-{number % 7}"},
        "recipient": {"phone": f"+99655500000{number % 5}", "institution": "bank-2"},
        "device": {"id": f"d-{number % 7}", "ip": "192.0.2.10", "country": "KG", "vpn": False},
        "access": {"session_id": f"s-{number}", "login_method": "pin"},
        "category": "4829",
        "purpose": "rent",
    }
    return _changed(record, changes)


def event(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A failed log-in of a customer whose operations `operation` makes."""
    record = {
        "event_id": f"ev-{number}",
        "occurred_at": (START + timedelta(seconds=number)).isoformat(),
        "type": "login_failed",
        "customer": {"customer_id": f"c-{number % 7}", "account": f"acc-{number % 7}"},
    }
    return _changed(record, changes)


def outcome(number: int = 1, **changes: Any) -> dict[str, Any]:
    """Fraud, as the customer of operation `number` said three days later."""
    record = {
        "outcome_id": f"out-{number}",
        "operation_id": f"op-{number}",
        "verdict": "fraud",
        "known_at": (START + timedelta(days=3, seconds=number)).isoformat(),
        "source": "customer_notice",
    }
    return _changed(record, changes)


def body(record: Any) -> bytes:
    """The record as JSON."""
    return json.dumps(record).encode()


def _changed(record: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**record, **changes}.items() if value is not None}
