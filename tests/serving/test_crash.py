"""kill -9 at any moment loses no record that was acknowledged, counts nothing twice, and the features come back as they were."""

import asyncio
import itertools
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from casework.ledger import reading
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.engine import SAVED, Engine
from features.plan import Plan
from serving import recovery, verification
from serving.settings import Settings
from tests.postgresql import PostgreSQL
from tests.serving.examples import operation
from tests.serving.mixes import OPERATIONS, Mix, Sent, load, repeat
from tests.serving.running import InProcess, Server, file_in, key_of, rows_in

PLAN = Plan(DEFINITIONS, RETAINED_ARRIVALS)
SEED = 2026
CHECKS = 3
"""How many times on the way the whole state is compared with a replay of the ledger."""


class Killed:
    """A server that is killed again and again while callers send a mix, on one database."""

    def __init__(self, settings: Settings, postgresql: PostgreSQL | None) -> None:
        self.settings, self.postgresql = settings, postgresql
        self.mix, self.draw = Mix(SEED), random.Random(SEED)
        self.key, self.kinds = key_of(settings.database), {"server": 0, "server that stops": 0, "database": 0}
        victims = ["server", "server that stops", "server"] + ["database"] * (postgresql is not None)
        self._victims = itertools.cycle(victims)
        self.server = self._started()

    def moment(self) -> None:
        """Load, kill somebody at a drawn moment, start him again, and repeat what was acknowledged."""
        kind = next(self._victims)
        self.kinds[kind] += 1
        asyncio.run(self._loaded(kind, self.draw.randint(1, 250), self.draw.random() * 0.02))
        if kind != "database":
            self.server = self._started()
        asyncio.run(repeat(self.server, self.mix))

    async def _loaded(self, kind: str, more: int, pause_s: float) -> None:
        enough, over = asyncio.Event(), asyncio.Event()
        target = len(self.mix.acknowledged) + more
        loading = asyncio.create_task(load(self.server, self.mix, enough, target, over))
        await enough.wait()
        await asyncio.sleep(pause_s)
        await asyncio.to_thread(self._kill, kind, pause_s)
        over.set()
        await loading

    def _kill(self, kind: str, pause_s: float) -> None:
        if kind == "database":
            assert self.postgresql is not None
            self.postgresql.kill()
            self.postgresql.start()
            return
        if kind == "server that stops":  # it finishes what is on its way and writes its snapshot
            self.server.process.terminate()
            self.server.process.join(5 * pause_s)
        self.server.kill()

    def equals_a_replay(self) -> None:
        """With the server killed: what a start makes of snapshot and ledger is what the whole ledger gives, to the last bit."""
        self.server.kill()
        with reading(self.settings.database) as ledger:
            started = recovery.rebuild(PLAN, ledger, self.settings.state)
            replayed = recovery.rebuild(PLAN, ledger, self.settings.home / "no snapshot")
        assert started.applied == replayed.applied == rows_in(self.settings.database)
        assert state(started) == state(replayed)
        with InProcess(self.settings) as burana:  # its end leaves a snapshot: later starts take it and the entries after it
            burana.wait_until(lambda: not burana.burana.assessor.records.new_ids.is_due)
        self.server = self._started()

    def _started(self) -> Server:
        home, models = self.settings.home, self.settings.models
        return Server(home, models, key=self.key, url=self.settings.database)


def state(engine: Engine) -> dict[str, bytes]:
    """Everything that an engine holds of behaviour, by buffer."""
    used = engine._used()
    return {name.name: engine._buffers[name][: used.get(name)].tobytes() for name in SAVED}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_kills_under_load_lose_nothing_acknowledged_and_count_nothing_twice(
    models: Path, tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    on_server = kind == "postgresql"
    url = request.getfixturevalue("cloned") if on_server else file_in(tmp_path)
    moments = request.config.getoption("--moments")
    killed = Killed(
        Settings(home=tmp_path, models=models, database_url=url),
        request.getfixturevalue("postgresql") if on_server else None,
    )
    for moment in range(1, moments + 1):
        killed.moment()
        if moment % -(-moments // CHECKS) == 0 or moment == moments:
            killed.equals_a_replay()
    killed.server.kill()

    mix, (decisions, figures) = killed.mix, judged(url, killed.mix.acknowledged)
    print(f"on {kind}, {moments} kills {killed.kinds}: {len(mix.acknowledged)} acknowledged, {decisions} of them decisions,")
    print(f"of {rows_in(url)} entries; {mix.seen}; {figures}")
    assert all(mix.seen.values())
    assert not mix.unknown
    assert lost(url, mix.acknowledged) == []
    assert rows_in(url) == len(mix.acknowledged), "in the end everything that was recorded was acknowledged, once"
    assert figures["vectors"] == decisions
    assert figures["vectors_differ"] == 0, figures


def judged(url: str, acknowledged: dict[Sent, bytes]) -> tuple[int, dict[str, Any]]:
    """How many decisions were acknowledged, and what comparing every stored vector with batch gives."""
    return sum(route == OPERATIONS for route, _ in acknowledged), verification.verify(url, PLAN)


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


def test_a_server_that_is_stopped_and_goes_on_under_load_loses_nothing_and_answers_late_ones_at_least_medium(
    models: Path, tmp_path: Path
) -> None:
    config = tmp_path / "burana.toml"
    config.write_text("deadline_ms = 5\n")
    mix, draw = Mix(SEED), random.Random(SEED)  # which holds every answer against "what is degraded is never low"
    with Server(tmp_path, models, "--config", str(config)) as server:

        async def stopped_and_going_on() -> None:
            enough, over = asyncio.Event(), asyncio.Event()
            loading = asyncio.create_task(load(server, mix, enough, 50, over))
            await enough.wait()
            for _ in range(12):
                os.kill(server.pid, signal.SIGSTOP)
                await asyncio.sleep(0.1)
                os.kill(server.pid, signal.SIGCONT)
                await asyncio.sleep(0.03 * draw.random())
            over.set()
            await loading

        asyncio.run(stopped_and_going_on())
        asyncio.run(repeat(server, mix))
    late = sum(b'"deadline"' in answer for answer in mix.acknowledged.values())
    print(f"{len(mix.acknowledged)} acknowledged, {late} of them late")
    assert lost(file_in(tmp_path), mix.acknowledged) == []
    assert rows_in(file_in(tmp_path)) == len(mix.acknowledged) > 50
    assert judged(file_in(tmp_path), mix.acknowledged)[1]["vectors_differ"] == 0
