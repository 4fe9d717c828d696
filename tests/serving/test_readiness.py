"""/readyz tells by name what holds, /livez that the process answers; both at once, whatever the database does."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from casework import database as databases
from features.layout import WORDS
from serving import readiness, succession
from serving.readiness import Check
from serving.settings import Settings
from tests.databases import execute
from tests.postgresql import PostgreSQL
from tests.serving.examples import body, operation
from tests.serving.running import Answer, InProcess, asgi, key_of

Ask = Callable[..., Awaitable[Answer]]


@pytest.fixture
def open_burana(settings: Settings):
    """A Burana that has taken some operations, and looks at itself only when it is told to."""
    with InProcess(replace(settings, refresh_s=3_600)) as burana:
        for number in range(1, 6):
            burana.decide(operation(number))
        yield burana


def failing(burana: InProcess) -> set[Check]:
    """The checks that do not hold after another look."""
    burana.run(burana.burana.readiness.look())
    return {check for check, holds in burana.burana.readiness.checks.items() if not holds}


def test_all_checks_hold_of_a_server_that_takes_records(open_burana: InProcess) -> None:
    assert failing(open_burana) == set()
    assert open_burana.burana.readiness.status == "ready"


def test_a_disk_with_too_little_room_is_not_ready(open_burana: InProcess, caplog: pytest.LogCaptureFixture) -> None:
    ready = open_burana.burana.readiness
    ready._settings = replace(open_burana.settings, least_free_mib=10**6)
    assert failing(open_burana) == {Check.DISK}
    assert ready.status == "not_ready"
    assert "not ready, disk_space: " in caplog.text
    assert "MiB free, allowed 1000000 or more (least_free_mib)" in caplog.text
    ready._settings = open_burana.settings
    assert failing(open_burana) == set()


def test_a_clock_before_the_ledgers_last_entry_is_not_ready(open_burana: InProcess) -> None:
    ready = open_burana.burana.readiness
    ready._clock = lambda: succession.now() - timedelta(seconds=1)
    assert failing(open_burana) == set(), "clocks of two machines differ"
    ready._clock = lambda: succession.now() - timedelta(minutes=5)
    assert failing(open_burana) == {Check.CLOCK}


def test_features_that_do_not_stand_at_the_ledgers_end_are_not_ready(open_burana: InProcess) -> None:
    assessor = open_burana.burana.assessor
    assessor.records.engine.apply([0] * WORDS)
    assert failing(open_burana) == {Check.STATE}


def test_a_ledger_that_cannot_be_read_or_written_is_not_ready(open_burana: InProcess) -> None:
    with databases.connect(open_burana.settings.database) as database:
        execute(database, "ALTER TABLE entries RENAME TO elsewhere")
        assert failing(open_burana) == {Check.READABLE, Check.WRITABLE, Check.STATE}
        execute(database, "ALTER TABLE elsewhere RENAME TO entries")
    assert failing(open_burana) == set()


def test_without_a_champion_that_is_asked_for_nothing_is_ready(open_burana: InProcess) -> None:
    open_burana.burana.assessor.layers.model = None
    assert failing(open_burana) == {Check.CHAMPION}
    open_burana.burana.readiness._settings = replace(open_burana.settings, require_model=False)
    assert failing(open_burana) == set()


def test_a_look_that_never_ends_is_a_database_that_does_not_answer(
    open_burana: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness.time, "monotonic", lambda: time.perf_counter() + 10**7)
    checks = open_burana.burana.readiness.checks
    assert (checks[Check.READABLE], checks[Check.WRITABLE], checks[Check.DISK]) == (False, False, True)


def test_both_are_answered_while_the_database_hangs(settings: Settings, cloned: str, postgresql: PostgreSQL) -> None:
    waiting = replace(settings, database_url=cloned, database_answer_s=1, database_connect_s=2)

    async def scenario() -> None:
        async with asgi(waiting) as ask:
            assert (await ask("GET", "/readyz")).json == {"status": "ready", "checks": dict.fromkeys(Check, True)}
            postgresql.pause()
            try:
                slowest = await slowest_until(ask, "ledger_readable", False)
            finally:
                postgresql.resume()
            assert slowest < 0.5
            await slowest_until(ask, "ledger_readable", True)

    asyncio.run(asyncio.wait_for(scenario(), 60))


async def slowest_until(ask: Ask, check: str, holds: bool) -> float:
    """Ask both routes until /readyz says so of a check; the slowest answer in seconds."""
    slowest = 0.0
    while True:
        began = time.monotonic()
        assert (await ask("GET", "/livez")).json == {"status": "alive"}
        told = await ask("GET", "/readyz")
        slowest = max(slowest, time.monotonic() - began)
        assert (told.status == 200) == (told.json["status"] == "ready") == all(told.json["checks"].values())
        if told.json["checks"][check] is holds:
            return slowest
        await asyncio.sleep(0.02)


def test_the_metrics_tell_readiness_and_what_waits_for_the_disk(settings: Settings) -> None:
    async def scenario() -> str:
        key = {"Authorization": f"Bearer {key_of(settings.database)}"}
        async with asgi(settings) as ask:
            assert (await ask("POST", "/v1/operations", body(operation(1)), key)).status == 200
            return (await ask("GET", "/metrics", b"", key)).body.decode()

    text = asyncio.run(scenario())
    for line in ("burana_ready 1.0", "burana_standby 0.0", "burana_standby_behind NaN", "burana_ledger_lag_seconds 0.0",
                 "burana_snapshot_behind 1.0", "burana_snapshots_failed_total 0.0"):  # fmt: skip
        assert f"\n{line}\n" in text
    assert {f'burana_check{{check="{check}"}} 1.0' for check in Check} <= set(text.splitlines())


def test_what_waits_for_the_disk_is_as_old_as_its_first_record(open_burana: InProcess) -> None:
    assessor = open_burana.burana.assessor

    async def oldest() -> float:
        with databases.connect(open_burana.settings.database) as database, database.transaction():
            sent = asyncio.create_task(assessor.operation(body(operation(50))))
            await asyncio.sleep(0.3)
            age = assessor.records.oldest_s
        await sent
        return age

    assert 0.2 < open_burana.run(oldest()) < 5
    assert assessor.records.oldest_s == 0.0
