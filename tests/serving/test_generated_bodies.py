"""Of any number of bodies that nobody wrote, what is refused leaves nothing: the state is that of what was accepted.

`pytest tests/serving/test_generated_bodies.py -n 0 -s --bodies 100000` sends as many as that and prints what came of them.
"""

import asyncio
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from casework import database as databases
from casework.ledger import Entry, reading
from domain.identifiers import IdentifierKind
from domain.listing import List
from serving.routes import ROUTES
from serving.settings import Settings
from tests import registry
from tests.serving.generated_bodies import Sent, disturbed, drawn
from tests.serving.running import Answer, asgi, key_of, rows_in

DESCRIBED = {route.path: {200, *route.refusals} for route in ROUTES if route.takes is not None}
TOGETHER = 16


@pytest.fixture(scope="module")
def bodies(request: pytest.FixtureRequest) -> list[Sent]:
    """A tenth drawn, the rest disturbed."""
    count = request.config.getoption("--bodies")
    return [*drawn(count // 10), *disturbed(count - count // 10)]


def prepared(settings: Settings) -> dict[str, str]:
    """A home with a registry that some bodies meet; the header of a key."""
    with databases.connect(settings.database) as database:
        registry.add(database, settings.identifiers(), IdentifierKind.PHONE, "+996555000003", List.PROHIBITED, "the tests", "fraud")  # fmt: skip
    return {"Authorization": f"Bearer {key_of(settings.database)}"}


def sent(settings: Settings, records: list[Sent], together: int) -> list[Answer]:
    """What the whole application answers, from its start to a clean stop, so that its state is on the disk."""
    key = prepared(settings)

    async def scenario() -> list[Answer]:
        answers: list[Answer] = []
        async with asgi(settings) as ask:
            for at in range(0, len(records), together):
                asked = (ask("POST", route, content, key) for route, content in records[at : at + together])
                answers += await asyncio.gather(*asked)
        return answers

    return asyncio.run(scenario())


def ledger_of(settings: Settings) -> list[Entry]:
    """Every entry, without the moments at which it was taken and decided."""
    with reading(settings.database) as ledger:
        entries = [ledger.at(sequence) for sequence in range(1, ledger.last_sequence + 1)]
    return [entry._replace(recorded_at="", answer=_timeless(entry.answer)) for entry in entries]


def _timeless(answer: bytes) -> Any:
    return {name: value for name, value in json.loads(answer).items() if name != "decided_at"}


def state_of(path: Path) -> dict[str, bytes]:
    """Every array of the features' state, but the header, which says when its last entry was recorded."""
    with np.load(path) as arrays:
        return {name: arrays[name].tobytes() for name in arrays.files if name != "header"}


def test_what_is_refused_leaves_no_trace_and_no_body_is_answered_as_nobody_described(bodies, settings, tmp_path, caplog):
    alone = replace(settings, home=tmp_path / "alone")
    shutil.copytree(settings.home, alone.home)
    answers = sent(settings, bodies, TOGETHER)
    found = Counter((route, answer.status) for (route, _), answer in zip(bodies, answers, strict=True))
    print("\n" + "\n".join(f"{route:16} {status} {count:7}" for (route, status), count in sorted(found.items())))
    assert all(status in DESCRIBED[route] and status < 500 for route, status in found)
    assert not any(b"Traceback" in answer.body or len(answer.body) > 20_000 for answer in answers)
    assert "failure" not in caplog.text

    accepted = {
        answer.json["sequence"]: record for record, answer in zip(bodies, answers, strict=True) if answer.status == 200
    }
    assert len(accepted) > len(bodies) / 10
    shutil.copy(settings.home / "card.key", alone.home)  # the same hashes and lots
    again = sent(alone, [accepted[sequence] for sequence in sorted(accepted)], 1)
    assert all(answer.status == 200 for answer in again)
    assert ledger_of(settings) == ledger_of(alone)
    assert state_of(settings.state) == state_of(alone.state)
    assert [rows_in(settings.database, table) for table in ("entries", "registry", "api_keys")] == [len(accepted), 1, 1]
