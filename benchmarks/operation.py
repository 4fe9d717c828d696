"""Where the time of one operation goes, stage by stage, beside the bare ONNX call; one process, one thread.

    python -m benchmarks.operation --folder demo [--json FILE]

Reads what `make demo` left; writes nothing there. Figures are medians over operations, microseconds of wall time.
"""

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from casework import database as databases
from casework.ledger import Ledger
from casework.lookups import ImmediateLookups
from casework.registry import Registry
from domain.bundle import champion
from domain.json_file import add_json, write_json
from domain.operation import Operation, normal_operation
from features import history as histories
from features.arrivals import row_of_operation
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.history import records_of
from features.layout import Word
from features.plan import Plan
from serving import basic, recovery, scoring, succession
from serving.contracts import OPERATION, decoded, encode
from serving.control import Shares
from serving.decide import Heard, decide
from serving.live_counts import BATCH
from serving.live_profiles import LiveProfiles
from serving.live_rules import live_rules
from serving.metrics import Metrics
from serving.settings import Settings

CONTROL = Shares(verified=0.01, passed=0.01)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("demo"))
    parser.add_argument("--operations", type=int, default=5_000)
    add_json(parser)
    arguments = parser.parse_args()
    figures = measure(arguments.folder, arguments.operations)
    bare = figures["bare ONNX call"]
    for name, value in figures.items():
        print(f"{name:32} {value:8.1f} us {value / bare:6.2f} x the bare ONNX call")
    write_json(arguments.json, figures)


def measure(folder: Path, count: int) -> dict[str, float]:
    """Median microseconds of each stage."""
    settings = Settings(home=folder / "home", models=folder / "models", profiles=folder / "profiles" / "snapshots")
    plan = Plan(DEFINITIONS, RETAINED_ARRIVALS)
    database = databases.connect(settings.database)
    model = scoring.load(champion(settings.models), plan)
    features = FeatureSet(plan, model.asks_for_profiles)
    identifiers, rules = settings.identifiers(), live_rules(database, features)
    registry = Registry(database, identifiers)
    profiles = LiveProfiles(settings.profiles, settings.profiles_days_behind, Metrics()) if features.with_profiles else None
    lots = settings.lots()
    live = succession.live_counts(model, Metrics())
    ledger, seen = Ledger(database), ImmediateLookups(database)
    engine = recovery.rebuild(plan, ledger, settings.state)
    table = histories.read(folder / "history").operations
    bodies = [encode(record) for _, record in records_of(table.slice(table.num_rows - count), Operation)]
    latest = datetime.now(UTC) + timedelta(days=3_650)
    stages: dict[str, list[float]] = {}

    def timed(name: str, call: Callable[..., Any], *values: Any) -> Any:
        began = time.perf_counter()
        result = call(*values)
        stages.setdefault(name, []).append(time.perf_counter() - began)
        return result

    for body in bodies:
        whole = time.perf_counter()
        operation = timed(
            "decode and normal form", lambda b: normal_operation(decoded(OPERATION, b), identifiers, latest), body
        )
        timed("canonical body", encode, operation)
        timed("seen before? (ledger look-up)", seen.now, ("operation", operation.operation_id[::-1]))
        hits = timed("registry", registry.hits, operation)
        row = timed("row", lambda o: np.array(row_of_operation(o), np.int64), operation)
        if profiles is not None and profiles.use(row)[0].degraded is not None:  # the server does so off its thread
            profiles.refresh()
        vector = timed("features read", engine.read, row)
        if profiles is not None:
            vector, _ = timed("profiles read, found and joined", profiles.beside, vector, row)
        score = timed("score", model.score, vector)
        outcome = timed("rules", rules.evaluate, operation, int(row[Word.AMOUNT]), vector, score, hits)
        checks = timed("basic checks", basic.verify, operation, int(row[Word.AMOUNT]), settings.limit_tyiyn)
        lot = timed("lot of the control share", lots.draw, operation.operation_id)
        timed("decide", decide, Heard(hits, checks, score, model.thresholds, outcome, (), lot, CONTROL))
        timed("features apply", engine.apply, row)
        if live is not None:
            timed("handed over to be counted", live.take, vector.tobytes(), score)
        stages.setdefault("all stages", []).append(time.perf_counter() - whole)
        timed("bare ONNX call", model._session.run_with_iobinding, model._call)
        if model.explainer is not None:
            timed("why (of medium and high alone)", model.explainer.reasons, vector, score)
        if live is not None and len(stages["score"]) % BATCH == 0:
            began = time.perf_counter()
            live.count()
            stages.setdefault("counted for drift (elsewhere)", []).append((time.perf_counter() - began) / BATCH)
    seen.close()
    database.close()
    return {name: float(np.median(values) * 1e6) for name, values in stages.items()}


if __name__ == "__main__":
    main()
