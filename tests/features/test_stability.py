"""PSI equals the textbook's formula over the stated bins, whatever the values are, and reads a shift as one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import BundleError
from features import stability
from features.bins import MOST_BINS, SCORE, WIDTH, Bins, Reference, reference
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan
from features.stability import FLOOR, LEAST_HOURS, Level

values = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from((0.0, -0.0, 1.0, 2.5, math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308)),
    st.integers(0, 30).map(float),
)
columns = st.lists(values, min_size=1, max_size=60).map(np.array)
WEEK = 168


def made_of(column: np.ndarray) -> Reference:
    """The reference of one feature, whose values are the scores as well."""
    return reference(("a",), column[:, None], column)


def naive_place(bins: Bins, value: float) -> str:
    """The bin of a value, in words, by comparing with one edge after the other."""
    if math.isnan(value):
        return bins.words[-1]
    finite = max(-1.7976931348623157e308, min(1.7976931348623157e308, value))
    for edge, word in zip(bins.edges, bins.words, strict=False):
        if finite == edge if bins.listed else finite <= edge:
            return word
    return bins.words[-2]


def naive_psi(bins: Bins, training: np.ndarray, live: np.ndarray) -> float:
    """The textbook's sum, with no share below FLOOR."""
    total = 0.0
    for word in bins.words:
        before = max(FLOOR, sum(naive_place(bins, v) == word for v in training.tolist()) / len(training))
        now = max(FLOOR, sum(naive_place(bins, v) == word for v in live.tolist()) / len(live))
        total += (now - before) * math.log(now / before)
    return total


@given(training=columns, live=columns)
def test_psi_is_the_textbooks_formula_for_any_values(training, live):
    kept = made_of(training)
    (bins, _), (index, of_scores) = kept.bins, stability.psi(kept, live[:, None], live)
    if len(set(bins.words)) == len(bins.words):  # huge neighbours look alike in words
        assert index == pytest.approx(naive_psi(bins, training, live), rel=1e-12, abs=1e-12)
    assert index == of_scores


@given(training=columns, live=columns)
def test_psi_is_finite_never_negative_and_nothing_for_the_training_itself(training, live):
    kept = made_of(training)
    assert 0 <= stability.psi(kept, live[:, None], live)[0] < math.inf
    assert stability.psi(kept, training[:, None], training)[0] == 0


@given(training=columns, live=columns)
def test_every_vector_falls_into_one_of_at_most_twelve_bins(training, live):
    kept = made_of(training)
    bins, counts = kept.bins[0], kept.count(live[:, None], live)
    assert len(bins.counts) == len(bins.edges) + 2 == len(bins.words) <= WIDTH == MOST_BINS + 2
    assert list(bins.edges) == sorted(set(bins.edges))
    assert np.isfinite(bins.edges).all()
    assert counts.shape == (2, WIDTH)
    assert counts[0].sum() == len(live)
    assert counts[0, len(bins.edges) + 1] == np.isnan(live).sum()
    assert sum(bins.counts) == len(training)


@given(training=columns, live=columns, at=st.integers(0, 60))
def test_counts_of_parts_add_up_to_the_counts_of_the_whole(training, live, at):
    kept = made_of(training)
    parts = [kept.count(part[:, None], part) for part in (live[:at], live[at:])]
    assert (sum(parts) == kept.count(live[:, None], live)).all()


@given(training=columns)
def test_a_reference_survives_json_to_the_bit(training):
    kept = made_of(training)
    assert Reference.decode(kept.encode()) == kept


def test_something_else_is_not_a_reference():
    with pytest.raises(BundleError, match="not a reference for drift"):
        Reference.decode(b'{"bins": [{"name": 1}]}')


def test_without_ties_the_edges_are_deciles():
    bins = made_of(np.arange(1000.0)).bins[0]
    assert bins.counts == (*[100] * 10, 0)
    assert bins.words[0] == "to 99"
    assert bins.words[-2:] == ("above 899", "missing")


def test_few_values_get_a_bin_each_and_a_value_never_seen_shows():
    kept, live = made_of(np.array([0.0, 0, 0, 1, 1, 7])), np.array([0, 7, 7, 3, np.nan])
    assert kept.bins[0].words == ("0", "1", "7", "another value", "missing")
    assert kept.bins[0].counts == (3, 2, 1, 0, 0)
    assert kept.count(live[:, None], live)[0, :5].tolist() == [1, 0, 2, 1, 1]


def test_a_constant_that_changes_is_seen():
    kept = made_of(np.zeros(5000))
    assert stability.psi(kept, np.ones((5000, 1)), np.zeros(5000))[0] > stability.CHANGED


@pytest.mark.parametrize("heavy", [0.0, 0.5, 1.0])
def test_a_value_that_nearly_all_have_does_not_hide_the_rest(heavy):
    """95% are one value; in the remaining 5% the smaller half goes away: deciles would have had one bin for it all."""
    rng = np.random.default_rng(3)
    training = np.where(rng.random(20_000) < 0.95, heavy, rng.random(20_000))
    bins = made_of(training).bins[0]
    assert heavy in bins.edges or heavy == 1.0
    assert max(bins.counts) == np.count_nonzero(training == heavy)
    assert np.count_nonzero(bins.counts) >= 2


def draw(rng: np.random.Generator, count: int) -> np.ndarray:
    """Vectors of four features: skewed amounts, mostly zero counts, a flag, and one that is missing for a fifth."""
    amounts, counts = rng.lognormal(8, 1, count), rng.poisson(0.3, count)
    sparse = np.where(rng.random(count) < 0.2, np.nan, rng.normal(size=count))
    return np.column_stack([amounts, counts, rng.random(count) < 0.1, sparse])


NAMES = ("amount", "count", "flag", "sparse")


def read(reference: Reference, live: np.ndarray, hours: int = WEEK) -> dict[str, stability.Finding]:
    """The findings of live vectors whose scores are as in training, by name."""
    counts = reference.count(live, np.linspace(0, 1, len(live)))
    return {finding.name: finding for finding in stability.findings(reference, counts, hours)}


@pytest.fixture(scope="module")
def trained() -> Reference:
    return reference(NAMES, draw(np.random.default_rng(1), 30_000), np.linspace(0, 1, 10_000))


def test_a_shifted_feature_is_flagged_and_the_others_are_not(trained):
    live = draw(np.random.default_rng(2), 5_000)
    live[:, 0] *= 3
    found = read(trained, live)
    assert found["amount"].level is Level.CHANGED
    assert {found[name].level for name in (*NAMES[1:], SCORE)} == {Level.STABLE}


def test_a_feature_that_goes_missing_is_flagged_and_named_so(trained):
    live = draw(np.random.default_rng(2), 5_000)
    live[:4000, 3] = np.nan
    found = read(trained, live)["sparse"]
    assert found.level is Level.CHANGED
    assert found.moved == "missing"
    assert found.share_training == pytest.approx(0.2, abs=0.01)
    assert found.share_live == pytest.approx(0.84, abs=0.01)


def test_too_few_vectors_are_not_read_whatever_they_show(trained):
    live = draw(np.random.default_rng(2), 300) + 1e6
    assert {finding.level for finding in read(trained, live).values()} == {Level.TOO_FEW}
    assert {finding.level for finding in read(trained, live[:0]).values()} == {Level.TOO_FEW}


def test_by_chance_alone_psi_is_about_its_expected_noise_and_no_alarm(trained):
    """2,000 draws of 550 vectors without drift: the mean is the stated noise within a quarter (rare bins give less), none is moving."""
    rng, training = np.random.default_rng(4), trained.counts[:-1]
    shares = training / training.sum(axis=1, keepdims=True)
    live = np.array([[rng.multinomial(550, row) for row in shares] for _ in range(2_000)])
    indices = np.array([stability.psi_of_counts(training, draw) for draw in live])
    stated = np.array([stability.noise(training, draw) for draw in live])
    np.testing.assert_allclose(indices.mean(axis=0), stated.mean(axis=0), rtol=0.25)
    assert (indices < stability.MOVING).all()


@pytest.mark.parametrize(
    ("index", "reads"),
    [(0.0, Level.STABLE), (0.0999, Level.STABLE), (0.1, Level.MOVING), (0.25, Level.MOVING), (0.2501, Level.CHANGED)],
)
def test_the_usual_reading(index, reads):
    assert stability.level("amount", index, 1 / 1000, WEEK) is reads


@pytest.mark.parametrize(("name", "hours"), LEAST_HOURS.items())
def test_features_of_the_calendar_are_not_read_before_the_calendar_has_come_round(name, hours):
    assert name in Plan(DEFINITIONS, RETAINED_ARRIVALS).names
    assert stability.level(name, 3.0, 1 / 1000, hours - 1) is Level.TOO_SHORT
    assert stability.level(name, 3.0, 1 / 1000, hours) is Level.CHANGED
