"""What tests came to: each with its figures and their intervals, and all of them together, as it is written to JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from training import figures
from training.intervals import interval, resampled
from training.measures import Measures, Tested, by_kind, by_scheme, weekly_spreads
from training.rankings import Floats


@dataclass(frozen=True)
class Result:
    """One test: facts about it, its figures by name, and each of them in every resample (resamples,)."""

    facts: dict[str, Any]
    tested: Tested
    figures: dict[str, float]
    resamples: dict[str, Floats]


def measure(facts: dict[str, Any], tested: Tested, resamples: int, seed: int, population: int) -> Result:
    """population: how many customers the history has; the same for all tests whose figures are to be averaged."""
    named = Measures(tested)
    drawn = resampled(named, tested.operations.customers, resamples, seed, population)
    return Result(facts, tested, named(), drawn)


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """`folds`, `mean`, `sd` (n - 1), `intervals` of the means, `weekly`; None for what has no answer.

    The interval of a mean is that of the folds' mean in each resample: the same customers are drawn in all of them.
    """
    names = results[0].figures
    values = {name: np.array([result.figures[name] for result in results]) for name in names}
    drawn = {name: np.mean([result.resamples[name] for result in results], axis=0) for name in results[0].resamples}
    found = {
        "folds": [_told(result) for result in results],
        "mean": {name: float(each.mean()) for name, each in values.items()},
        "sd": {name: float(each.std(ddof=1)) if len(each) > 1 else None for name, each in values.items()},
        "intervals": _intervals(drawn),
        "weekly": weekly_spreads([result.tested for result in results]),
    }
    return dict(_answered(found))


def _told(result: Result) -> dict[str, Any]:
    tested = result.tested
    bins = figures.reliability(tested.operations.labels, tested.scores)
    return {
        **result.facts, **result.figures, "intervals": _intervals(result.resamples),
        "thresholds": None if tested.thresholds is None else asdict(tested.thresholds),
        "reliability": [asdict(part) for part in bins], "by_kind": by_kind(tested), "by_scheme": by_scheme(tested),
    }  # fmt: skip


def _intervals(drawn: Mapping[str, Floats]) -> dict[str, list[float]]:
    found = {name: interval(values) for name, values in drawn.items()}
    return {name: [each.low, each.high] for name, each in found.items()}


def _answered(value: Any) -> Any:
    """The same with None for NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _answered(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_answered(each) for each in value]
    return None if isinstance(value, float) and np.isnan(value) else value
