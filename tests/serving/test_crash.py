"""kill -9 at any moment loses no decision that was acknowledged, and the features come back as they were."""

import asyncio
import itertools
import random
from collections.abc import Iterator

import numpy as np
import pytest

from casework.ledger import reading
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan
from serving import recovery, verification
from serving.client import connect
from serving.settings import Settings
from tests.serving.examples import body, event, operation, outcome
from tests.serving.running import InProcess, Server, file_in, key_of, probes, rows_in

KILLS, CONNECTIONS = {"sqlite": 20, "postgresql": 6}, 6
OPERATIONS, EVENTS, OUTCOMES = "/v1/operations", "/v1/events", "/v1/outcomes"
Sent = tuple[str, bytes]


def records() -> Iterator[Sent]:
    """Operations without end, with events and outcomes of earlier ones among them."""
    for number in itertools.count(1):
        yield OPERATIONS, body(operation(number))
        if number % 5 == 0:
            yield EVENTS, body(event(number))
        if number % 7 == 0 and number > 60:
            yield OUTCOMES, body(outcome(number - 60))


class Callers:
    """Several connections that send and keep what was acknowledged, through every crash."""

    def __init__(self) -> None:
        self.records = records()
        self.acknowledged: dict[Sent, bytes] = {}
        self.unknown: list[Sent] = []
        self.refused: list[bytes] = []

    async def until_killed(self, server: Server, after: int, pause: float) -> None:
        """Send until `after` more are acknowledged and a moment has passed, then kill; what was under way is unknown."""
        enough = asyncio.Event()
        target = len(self.acknowledged) + after
        sending = [asyncio.create_task(self._send(server, target, enough)) for _ in range(CONNECTIONS)]
        await enough.wait()
        await asyncio.sleep(pause)
        server.kill()
        await asyncio.gather(*sending)

    async def _send(self, server: Server, target: int, enough: asyncio.Event) -> None:
        connection = await connect(server.url, server.key)
        while True:
            sent = next(self.records)
            try:
                response = await connection.request("POST", *sent)
            except ConnectionError:
                self.unknown.append(sent)
                return
            if response.status == 200:
                self.acknowledged[sent] = response.body
            else:
                self.refused.append(response.body)
            if len(self.acknowledged) >= target:
                enough.set()

    async def repeat(self, server: Server, sample: list[Sent]) -> None:
        """Repeat what was acknowledged and what is unknown: the first gets the same bytes, the second an answer for good."""
        connection = await connect(server.url, server.key)
        for sent in sample:
            response = await connection.request("POST", *sent)
            assert (response.status, response.body) == (200, self.acknowledged[sent])
        for sent in self.unknown:
            response = await connection.request("POST", *sent)
            # the operation of an outcome may itself have been lost on the way, unacknowledged
            assert response.status == 200 or (sent[0] == OUTCOMES and response.status == 422), response.body
            if response.status == 200:
                self.acknowledged[sent] = response.body
        self.unknown.clear()
        connection.close()


@pytest.mark.parametrize("kind", KILLS)
def test_kills_under_load_lose_no_acknowledged_decision(models, tmp_path, kind, request):
    url = file_in(tmp_path) if kind == "sqlite" else request.getfixturevalue("cloned")
    kills, draw = KILLS[kind], random.Random(2026)
    callers, key = Callers(), key_of(url)
    for kill in range(kills):
        server = Server(tmp_path, models, key=key, url=url)
        known = list(callers.acknowledged)
        asyncio.run(callers.repeat(server, known[-100:] + draw.sample(known, min(len(known), 30))))
        if kill == kills // 2:  # a snapshot, so that later starts take it and the entries after it
            server.stop()
            assert (tmp_path / "state.npz").exists()
            server = Server(tmp_path, models, key=key, url=url)
        asyncio.run(callers.until_killed(server, draw.randint(1, 250), draw.random() * 0.02))

    acknowledged = len(callers.acknowledged)
    decisions = sum(route == OPERATIONS for route, _ in callers.acknowledged)
    print(f"{acknowledged} acknowledged records, {decisions} of them decisions, over {kills} kills of a server on {kind}")
    assert decisions > 20 * kills
    assert not [refusal for refusal in callers.refused if b'"unknown_operation"' not in refusal]
    assert lost(url, callers.acknowledged) == []

    plan, settings = Plan(DEFINITIONS, RETAINED_ARRIVALS), Settings(home=tmp_path, models=models, database_url=url)
    figures = verification.verify(settings.database, plan)
    assert figures["vectors"] >= decisions
    assert figures["vectors_differ"] == 0, figures

    with InProcess(settings) as burana, reading(settings.database) as ledger:
        replayed = recovery.rebuild(plan, ledger, tmp_path / "no snapshot")
        started = burana.burana.assessor.engine
        assert started.applied == replayed.applied == rows_in(settings.database) >= acknowledged
        for row in probes(settings.identifiers()):
            np.testing.assert_array_equal(started.read(row), replayed.read(row))


def lost(url: str, acknowledged: dict[Sent, bytes]) -> list[bytes]:
    """Acknowledged answers that the ledger does not hold to the byte."""
    with reading(url) as ledger:
        held = {entry.answer for entry in ledger.read()}
    return [answer for answer in acknowledged.values() if answer not in held]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not an archive", None], ids=["empty", "not an archive", "cut off"])
def test_a_damaged_snapshot_is_left_aside(settings, damage):
    with InProcess(settings) as first:
        for number in range(1, 40):
            first.decide(operation(number))
        before = first.trace()
    content = settings.state.read_bytes()
    settings.state.write_bytes(content[: len(content) // 2] if damage is None else damage)
    with InProcess(settings) as second:
        assert second.trace() == before


def test_a_snapshot_of_another_ledger_is_left_aside(settings, tmp_path, models):
    other = Settings(home=tmp_path / "other", models=models)
    traces = []
    for each, numbers in ((settings, range(1, 9)), (other, range(20, 60))):
        with InProcess(each) as burana:
            for number in numbers:
                burana.decide(operation(number))
            traces.append(burana.trace())
    settings.state.write_bytes(other.state.read_bytes())
    with InProcess(settings) as burana:
        assert burana.trace() == traces[0]
