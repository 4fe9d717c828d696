import json

import numpy as np
import polars as pl
import pytest

from benchmarks.feature_engine import generated, report
from benchmarks.feature_engine.__main__ import measure
from benchmarks.feature_engine.comparison import differing
from benchmarks.feature_engine.feast_join import JOINED, folded, joins_differ, vectors_differ
from benchmarks.feature_engine.parts import Sizes, run_here
from features.definitions import SENT
from features.language import Count, Feature, Mean, hours
from features.layout import Slot, Word

COUNT = Feature(Slot.CUSTOMER, Count(), SENT, hours(1))
MEAN = Feature(Slot.CUSTOMER, Mean(), SENT, hours(1))


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    return measure(
        Sizes(rows=20_000, large_rows=30_000, singles=500), ["feast"], run_here, tmp_path_factory.mktemp("benchmark")
    )


@pytest.fixture(scope="module")
def of_feast(tmp_path_factory):
    others = ["kernel", "entities", "large", "online", "polars", "duckdb"]
    return measure(Sizes(rows=3_000), others, run_here, tmp_path_factory.mktemp("benchmark of Feast"))


def test_every_value_that_a_peer_gives_is_ours(figures):
    assert figures["values_differ"] == 0, {name: part.get("differing") for name, part in figures["parts"].items()}
    assert figures["values_compared"] == 20_000 * sum(figures["parts"][peer]["features"] for peer in ("duckdb", "polars"))


def test_every_figure_of_the_bar_is_there_and_goes_into_json(figures):
    told = json.loads(json.dumps(figures))
    for peer in ("duckdb", "polars"):
        assert told["cpu_per_feature_ratio"][peer] > 0
        assert told["like_for_like_ratio"][peer] > 0
    for name in ("kernel_over_parquet_write", "kernel_over_parquet_write_first_round", "cost_per_row_20m_over_5m"):
        assert told[name] > 0
    assert told["kernel_share_in_system"] >= 0
    assert 0 < told["online_us"]["p50"] <= told["online_us"]["p99"]
    assert all(gib > 0 for gib in told["peak_gib"].values())
    assert "values that differ" in report.table(figures)


def test_the_best_round_of_the_kernel_and_of_writing_counts_and_every_round_is_given(figures):
    kernel = figures["parts"]["kernel"]
    assert len(kernel["rounds"]) == 2
    assert kernel["cpu_s"] == min(each["cpu_s"] for each in kernel["rounds"])
    assert kernel["write_cpu_s"] == min(each["write_cpu_s"] for each in kernel["rounds"])


def test_feast_joins_what_polars_joins_and_serves_what_our_own_paths_give(of_feast):
    feast = of_feast["feast"]
    assert (feast["values_differ"], feast["service"]["values_differ"]) == (0, 0)
    assert feast["join_rows"] == feast["service"]["rows"] == 3_000
    given = of_feast["parts"]["feast"]["with_profile"]
    assert given["customer"] > given["recipient"] > 1_500, "most operations are to read a profile"


def test_feast_s_seconds_and_rates_are_there_and_go_into_json(of_feast):
    told = json.loads(json.dumps(of_feast))["feast"]
    seconds = ("join_s", "join_cpu_s", "polars_join_s", "polars_join_cpu_s", "own_values_s", "own_values_cpu_s")
    for name in (*seconds, "join_over_polars", "snapshot_rows_per_s"):
        assert told[name] > 0
    assert all(told["materialise_rows_per_s"][store] > 0 for store in ("sqlite", "valkey"))
    assert "Feast's join" in report.table(of_feast)


def test_a_joined_value_that_is_off_is_counted_and_the_order_of_rows_is_not():
    ours = pl.DataFrame({"operation_id": ["op-0", "op-1", "op-2"]} | {name: [1, None, 3] for name in JOINED})
    assert joins_differ(ours.reverse(), ours) == 0
    assert joins_differ(ours.with_columns(pl.Series(JOINED[0], [None, None, 4])), ours) == 2
    with pytest.raises(AssertionError, match="2 rows beside 3"):
        joins_differ(ours.head(2), ours)
    assert vectors_differ(np.array([1.0, np.nan, np.nan, 2.0]), np.array([1.0, np.nan, 0.0, 3.0])) == 2


def test_folded_operations_are_the_generated_ones_within_five_days():
    rows, generated_rows = folded(20_000), np.concatenate(list(generated.slices(20_000)))
    operations = generated_rows[generated.is_operation(generated_rows)]
    assert len(np.unique(rows[:, Word.TIME] // 86_400_000)) <= 6
    assert (np.diff(rows[:, Word.TIME]) >= 0).all()
    assert rows[:, Word.AMOUNT].sum() == operations[:, Word.AMOUNT].sum()


def test_a_part_that_is_left_out_leaves_its_figures_empty():
    figures = report.figures_of({}, 1, 1)
    assert figures["values_differ"] is None
    assert figures["feast"] is None
    assert figures["cpu_per_feature_ratio"] == {"duckdb": None, "polars": None}
    assert report.table(figures)


def test_a_value_that_is_off_is_counted_and_missing_equals_only_missing():
    ours = np.array([1.0, np.nan, np.nan, 0.0, 3.0])
    assert differing(COUNT, ours, ours) == 0
    assert differing(COUNT, ours, np.array([1.0, np.nan, 0.0, np.nan, 3.0 + 1e-15 * 3])) == 3
    assert differing(MEAN, ours, np.array([1.0, np.nan, np.nan, 0.0, 3.0 + 1e-15 * 3])) == 0
    assert differing(MEAN, ours, np.array([1.0, np.nan, np.nan, 0.0, 3.0 + 1e-9])) == 1


def test_the_generated_history_is_the_same_each_time_and_in_one_order():
    first, again = (np.concatenate(list(generated.slices(200_000))) for _ in range(2))
    assert np.array_equal(first, again)
    assert (np.diff(first[:, Word.TIME]) > 0).all()
    assert generated.is_operation(first).sum() == 200_000
    assert not np.array_equal(first, np.concatenate(list(generated.slices(200_000, seed=2)))[: len(first)])


def test_the_generated_history_has_busy_merchants_and_many_kinds_of_arrival():
    rows = next(generated.slices(20_000))
    assert len(np.unique(rows[:, Word.FACTS])) > 20
    busiest = np.unique(rows[:, Word.RECIPIENT], return_counts=True)[1].max()
    assert busiest > 50 * len(rows) / len(np.unique(rows[:, Word.RECIPIENT]))
