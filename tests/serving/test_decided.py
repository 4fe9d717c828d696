"""What a ledger decided, read again: the same answers and outcomes as when it was asked, and no customer in clear."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from domain.bundle import champion, manifest_of
from domain.errors import BundleError, SettingsError
from domain.instants import from_ms
from features import history as histories
from features.history import cut
from serving import replay
from serving.decided import Decided, decided
from serving.replay import Compared, compare
from serving.settings import Settings
from tests.serving.running import file_in
from training.dataset import customer_numbers


@pytest.fixture(scope="module")
def answered(models: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, histories.History, Compared]:
    """The home of a system that was asked about the last week of its champion's world, and what it answered."""
    home, whole = tmp_path_factory.mktemp("decided"), histories.read(models.parent / "world")
    last = int(whole.operations["occurred_at"].cast("int64").to_numpy().max())
    start = from_ms(last) - timedelta(days=7)
    after = cut(whole, start, None)
    replayed = asyncio.run(replay.in_process(after, cut(whole, None, start), Settings(home=home, models=models)))
    return home, after, compare(after, replayed)


@pytest.fixture(scope="module")
def made(answered, models) -> Decided:
    return decided(file_in(answered[0]), manifest_of(champion(models)))


def test_the_ledger_tells_what_was_answered_and_what_became_of_it(answered, made):
    _, _, asked = answered
    for name in ("kinds", "times", "levels", "is_fraud", "schemes", "known"):
        assert getattr(made.compared, name).tolist() == getattr(asked, name).tolist(), name
    assert np.array_equal(made.compared.scores, asked.scores, equal_nan=True)
    assert made.compared.reasons == asked.reasons
    assert made.compared.is_fraud.any()


def test_the_vectors_are_those_that_the_scores_were_made_of(made, models):
    manifest = manifest_of(champion(models))
    amounts = made.vectors[:, manifest.features.index("operation_amount")]
    assert amounts.tolist() == made.amounts.tolist()
    assert made.vectors.shape == (len(made.amounts), len(manifest.features))


def test_customers_are_told_apart_and_never_told_in_clear(answered, made):
    _, after, _ = answered
    assert made.customers.tolist() == customer_numbers(after.operations).tolist()
    assert len(made.names) == made.customers.max() + 1
    assert all("****" in name for name in made.names)
    clear = set(after.operations["sender_customer_id"].drop_null().to_pylist())
    assert clear
    assert not any(name.endswith(customer) for customer in clear for name in made.names)


def test_only_what_was_recorded_since_then_and_by_this_bundle_is_read(answered, made, models):
    home, manifest = answered[0], manifest_of(champion(models))
    since = decided(file_in(home), manifest, datetime.now(UTC) - timedelta(days=1))
    assert len(since.amounts) == len(made.amounts)
    with pytest.raises(SettingsError, match="no operation was decided"):
        decided(file_in(home), manifest, datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(SettingsError, match="no operation was decided"):
        decided(file_in(home), replace(manifest, version="another"))


def test_without_a_ledger_nothing_is_made(models, tmp_path):
    with pytest.raises((SettingsError, BundleError)):
        decided(file_in(tmp_path / "none"), manifest_of(champion(models)))
    assert not (tmp_path / "none").exists()
