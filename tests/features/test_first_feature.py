"""The README's section "Add a feature" is enough: its diff is applied as it stands, and the feature is there, everywhere.

One test for each place where a feature appears, all on the same `declared`.
"""

import importlib.util
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest

from domain.events import Event, Outcome
from domain.money import Money
from domain.operation import Kind, Operation, Party
from features import definitions
from features.arrivals import rows_of_history
from features.batch import matrix_of
from features.catalogue import catalogue
from features.engine import Engine
from features.feast_repo import materialise, sources
from features.feast_repo.store import open_store, register
from features.feast_repo.views import service_name
from features.feature_set import FeatureSet
from features.history import History, empty, table_of
from features.plan import Plan
from features.profile_days import Habits

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Add a feature")[2].partition("\n## ")[0]
NAME = "customer_sent_night_amount_sum_7d"
MIDNIGHT = datetime(2025, 6, 15, 18, tzinfo=UTC)
"""In Bishkek, between a Sunday and a Monday."""


def applied(diff: str, text: str) -> str:
    """The text after a diff of one hunk, whose old lines it must have exactly once."""
    header, *body = diff.strip("\n").splitlines()[2:]
    old = "".join(f"{line[1:]}\n" for line in body if line[0] in " -")
    new = "".join(f"{line[1:]}\n" for line in body if line[0] in " +")
    counts = re.fullmatch(r"@@ -\d+,(\d+) \+\d+,(\d+) @@", header)
    assert counts is not None and [int(count) for count in counts.groups()] == [old.count("\n"), new.count("\n")]
    assert text.count(old) == 1, "the README's diff does not apply to features/definitions.py: take its lines from there"
    return text.replace(old, new)


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """`features/definitions.py` as it is after the README's diff."""
    found = re.search(r"```diff\n(.*?)```", SECTION, re.DOTALL)
    assert found is not None
    text = (ROOT / "features" / "definitions.py").read_text(encoding="utf-8")
    path = tmp_path_factory.mktemp("features") / "definitions.py"
    path.write_text(applied(found[1], text), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("changed_definitions", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def declared(changed: ModuleType) -> Plan:
    return Plan(changed.DEFINITIONS, 64)


@pytest.fixture(scope="module")
def history() -> History:
    """Aysuluu pays a hundred som at 2 in the morning, at 5, at 8, and again a night later at 1."""
    at = [MIDNIGHT + timedelta(hours=hours) for hours in (2, 5, 8, 25)]
    operations = [
        Operation(f"op-{i}", time, Kind.E_WALLET, Money(100_00, "KGS"), Party(wallet="aysuluu"), Party(wallet="shop"))
        for i, time in enumerate(at)
    ]
    return History(table_of(operations, Operation, range(4)), empty(Event), empty(Outcome))


def test_the_diff_adds_one_line_and_one_feature(changed: ModuleType) -> None:
    names, before = [d.name for d in changed.DEFINITIONS], [d.name for d in definitions.DEFINITIONS]
    assert [name for name in names if name not in before] == [NAME]
    assert len(names) == len(before) + 1 and NAME in SECTION


def test_it_is_in_the_matrix_and_in_the_online_vector_with_the_same_bits(declared: Plan, history: History) -> None:
    matrix, engine = matrix_of(history, declared), Engine(declared)
    rows, _ = rows_of_history(history)
    vectors = []
    for row in rows:
        vectors.append(engine.read(row))
        engine.apply(row)
    column = declared.names.index(NAME)
    assert np.array_equal(matrix[:, column], [np.nan, 100_00, 200_00, 200_00], equal_nan=True)
    assert np.array(vectors).tobytes() == matrix.tobytes()


def test_it_is_in_the_catalogue(declared: Plan) -> None:
    line = f"| `{NAME}` | Sum of the amounts of operations that the customer sent at night in the last 7 days | tyiyn | 7 days |"
    assert line in catalogue(declared).partition("## R63")[2].partition("## R64")[0]


def test_it_is_in_feast(declared: Plan, history: History, tmp_path: Path) -> None:
    rows, _ = rows_of_history(history)
    features, matrix = FeatureSet(declared), matrix_of(history, declared)
    vectors = {name: matrix[:, i] for i, name in enumerate(declared.names)}
    table = pa.table({"operation_id": history.operations["operation_id"], **vectors})
    sources.write_operations(tmp_path, table, rows, declared.names)
    materialise.compute_days(Habits.of(rows), tmp_path)
    store = open_store(tmp_path)
    register(store, tmp_path, features)
    service = store.get_feature_service(service_name(features))
    frame = store.get_historical_features(sources.entity_frame(tmp_path).to_pandas(), features=service).to_df()
    joined = frame.set_index("operation_id").loc[["op-0", "op-1", "op-2", "op-3"], NAME]
    assert np.array_equal(joined, [np.nan, 100_00, 200_00, 200_00], equal_nan=True)


def test_it_is_in_the_vector_by_its_name_and_unit(declared: Plan) -> None:
    added = next(d for d in declared.declarations if d.name == NAME)
    assert (added.unit, added.serves.value) == ("tyiyn", "R63")


def test_a_bundle_made_before_it_would_be_told_from_one_made_after(declared: Plan) -> None:
    assert declared.hash != Plan(definitions.DEFINITIONS, 64).hash
