"""Snapshots while the server runs: written beside it, in the place of the last one, and never at anybody's cost."""

import fcntl
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from casework.ledger import reading
from domain.errors import StateError
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan
from serving import recovery
from serving.settings import Settings
from serving.snapshots import save, sequence_of
from tests.serving.examples import body, operation
from tests.serving.running import InProcess, Server, file_in, probes

PLAN = Plan(DEFINITIONS, RETAINED_ARRIVALS)


def metric(burana: InProcess, name: str) -> float:
    burana.burana.snapshots.tell()
    found = re.search(rf"^{name} (\S+)$", burana.burana.metrics.text().decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_a_process_beside_writes_it_and_a_start_after_a_crash_replays_only_the_rest(settings: Settings) -> None:
    with InProcess(replace(settings, snapshot_s=0.2)) as burana:
        for number in range(1, 30):
            burana.decide(operation(number))
        burana.wait_until(lambda: metric(burana, "burana_snapshot_behind") == 0, 60)
        assert sequence_of(settings.state) == 29
        assert metric(burana, "burana_snapshots_failed_total") == 0
    with reading(settings.database) as ledger:
        restored = recovery._from_snapshot(PLAN, ledger, settings.state)
        replayed = recovery.rebuild(PLAN, ledger, settings.home / "none.npz")
        assert restored.applied == replayed.applied == 29
        for row in probes(settings.identifiers()):
            assert restored.read(row).tobytes() == replayed.read(row).tobytes()


def test_kill_9_after_it_leaves_a_snapshot_that_the_next_start_takes(models: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("deadline_ms = 10000\nsnapshot_s = 0.2\n", encoding="utf-8")
    with Server(tmp_path, models, "--config", str(config)) as server:
        for number in range(1, 40):
            assert server.ask("POST", "/v1/operations", body(operation(number))).status == 200
        until = time.monotonic() + 60
        while sequence_of(tmp_path / "state.npz") < 39:
            assert time.monotonic() < until
            time.sleep(0.05)
        server.kill()
    with InProcess(Settings(home=tmp_path, models=models)) as burana, reading(file_in(tmp_path)) as ledger:
        assert burana.burana.assessor.records.engine.applied == 39
        assert recovery._from_snapshot(PLAN, ledger, tmp_path / "state.npz").applied == 39


def test_after_a_step_back_of_the_clock_the_next_one_is_written_as_soon_as_ever(settings: Settings) -> None:
    with InProcess(replace(settings, snapshot_s=0.2)) as burana:
        burana.decide(operation(1))
        burana.wait_until(lambda: metric(burana, "burana_snapshot_behind") == 0, 60)
        tomorrow = time.time() + 86_400
        os.utime(settings.state, (tomorrow, tomorrow))
        burana.wait(0.5)
        burana.decide(operation(2))
        burana.wait_until(lambda: metric(burana, "burana_snapshot_behind") == 0, 30)


def test_one_that_fails_is_said_counted_and_leaves_the_last_one(settings: Settings) -> None:
    tight = replace(settings, snapshot_s=0.2, least_free_mib=10**6)
    with InProcess(tight) as burana:
        burana.decide(operation(1))
        burana.wait_until(lambda: metric(burana, "burana_snapshots_failed_total") >= 1, 60)
        assert burana.decide(operation(2))["sequence"] == 2
        assert metric(burana, "burana_snapshot_behind") == 2
    assert not settings.state.exists()
    assert not list(settings.home.glob("*.draft"))


def test_none_is_written_into_the_last_of_the_disk(settings: Settings) -> None:
    said = r"would leave \d+ MiB of the disk free, allowed 1000000 \(least_free_mib\)"
    with InProcess(settings) as burana, pytest.raises(StateError, match=said):
        save(burana.burana.assessor.records.engine, burana.burana.ledger, settings.state, 10**6)


def test_two_processes_never_write_one_at_the_same_time(settings: Settings) -> None:
    with InProcess(settings) as burana:
        burana.decide(operation(1))
        with settings.state.with_suffix(".lock").open("w") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            assert save(burana.burana.assessor.records.engine, burana.burana.ledger, settings.state, 0) is False
            assert not settings.state.exists()
        assert save(burana.burana.assessor.records.engine, burana.burana.ledger, settings.state, 0) is True


def test_a_draft_that_a_crash_left_is_written_over(settings: Settings) -> None:
    with InProcess(settings) as burana:
        burana.decide(operation(1))
        draft = settings.state.with_name("state.npz.draft")
        draft.write_bytes(b"half a snapshot")
        assert save(burana.burana.assessor.records.engine, burana.burana.ledger, settings.state, 0)
        assert not draft.exists()
        assert sequence_of(settings.state) == 1
