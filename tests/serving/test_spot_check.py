"""A sample of the served vectors is recomputed beside the running server, and what differs is counted."""

import asyncio
import re
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from features.definitions import DEFINITIONS
from features.history import cut
from features.plan import Plan
from serving import replay
from serving.app import Burana
from serving.settings import Settings
from serving.spot_check import check, spot_check
from tests.serving.running import file_in
from training.simulator import WorldSettings, simulate

SHORT = Plan(DEFINITIONS, 256)
FROM = datetime(2026, 1, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A ledger of the released plan's vectors."""
    return _served(tmp_path_factory.mktemp("served"), None)


@pytest.fixture(scope="module")
def short_home(tmp_path_factory) -> Path:
    """A ledger of vectors of a memory so short that most of it was forgotten."""
    return _served(tmp_path_factory.mktemp("short"), SHORT)


def _served(home: Path, plan: Plan | None) -> Path:
    history = simulate(WorldSettings(seed=3, customers=120, days=16)).history
    settings = Settings(home=home, models=home / "models", require_model=False)
    with pytest.MonkeyPatch.context() as patch:
        if plan is not None:
            patch.setattr("serving.app.RETAINED_ARRIVALS", plan.retained)
        asyncio.run(replay.in_process(cut(history, FROM, None), cut(history, None, FROM), settings))
    return home


def test_a_sample_is_the_same_bits_from_the_batch_path(home):
    figures = spot_check(file_in(home), Plan(DEFINITIONS, 2**22), count=150)
    assert figures["vectors"] == 150
    assert figures["vectors_differ"] == 0


def test_no_more_than_matters_is_replayed_and_the_bits_are_still_the_same(short_home):
    figures = spot_check(file_in(short_home), SHORT, count=20, newest=60)
    assert figures["vectors"] == 20
    assert figures["vectors_differ"] == 0
    assert figures["replayed"] <= 2 * 256 + 2 + 60


def test_vectors_of_other_features_are_left_out(short_home):
    assert spot_check(file_in(short_home), Plan(DEFINITIONS, 512))["vectors"] == 0


def test_a_planted_difference_is_found_and_named(home, tmp_path):
    shutil.copytree(home, tmp_path / "copy")
    plan = Plan(DEFINITIONS, 2**22)
    with sqlite3.connect(tmp_path / "copy" / "burana.db") as connection:
        connection.execute("DROP TRIGGER IF EXISTS entries_are_kept")
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        sequence, vector = connection.execute(
            "SELECT sequence, vector FROM entries WHERE vector IS NOT NULL ORDER BY sequence DESC LIMIT 1"
        ).fetchone()
        planted = np.frombuffer(vector, "<f8").copy()
        planted[plan.names.index("customer_sent_count_1d")] += 1
        connection.execute("UPDATE entries SET vector = ? WHERE sequence = ?", (planted.tobytes(), sequence))
    figures = spot_check(file_in(tmp_path / "copy"), plan, count=10, newest=12)
    assert figures["vectors_differ"] == 1
    assert "customer_sent_count_1d served" in figures["first_difference"]


def test_the_server_counts_what_it_had_recomputed_beside_it(home, tmp_path):
    shutil.copytree(home, tmp_path / "copy")
    settings = Settings(home=tmp_path / "copy", models=tmp_path, require_model=False, spot_check_s=0.1)

    async def served() -> str:
        burana = Burana(settings)
        await burana.open()
        try:
            while True:
                text = burana.assessor.metrics.text().decode()
                if float(re.search(r"^burana_features_verified_total (\S+)$", text, re.MULTILINE)[1]) > 0:
                    return text
                await asyncio.sleep(0.2)
        finally:
            await burana.close()

    text = asyncio.run(asyncio.wait_for(served(), 120))
    assert "burana_features_differing_total 0.0" in text
    assert re.search(r"^burana_features_verified_at_seconds 1\.\d+e\+09$", text, re.MULTILINE)


def test_a_check_that_fails_says_why(tmp_path):
    with pytest.raises(Exception, match=r"could not be verified: .*burana.db"):
        asyncio.run(check(file_in(tmp_path)))
