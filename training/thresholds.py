"""Where medium and high begin, and the argument for it (para. 10-12)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.errors import ThresholdError
from domain.levels import Thresholds

LOWEST, HIGHEST = 1e-9, 1 - 1e-9
"""Scores are clipped to these when a threshold is made of one: a threshold is never 0 or 1."""


@dataclass(frozen=True)
class Capacity:
    """What the operator can do and will answer for.

    alerts_per_1000: operations of a thousand that can be verified; high_precision: of a hundred rejected operations, how
    many hundredths must be fraud; high_at_least: rejected operations that the precision must be measured on.
    """

    alerts_per_1000: float = 5.0
    high_precision: float = 0.9
    high_at_least: int = 20

    def __post_init__(self) -> None:
        if not (0 < self.alerts_per_1000 < 500 and 0 < self.high_precision <= 1 and self.high_at_least > 0):
            raise ThresholdError(f"{self}: allowed 0 < alerts_per_1000 < 500, 0 < high_precision <= 1, high_at_least > 0")


def choose(scores: NDArray[np.float64], labels: NDArray[np.int8], capacity: Capacity) -> tuple[Thresholds, str]:
    """Thresholds from later, unseen operations (n,), and the argument in words.

    high: the lowest score from which on the required precision holds; where no score reaches it, half-way between the highest
    score seen and 1, and the argument says so. medium: the score that sends `alerts_per_1000` more to people.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, frauds = scores[order], np.cumsum(labels[order], dtype=np.int64)
    rejected, high, argument = _high(ranked, frauds, capacity)
    alerts = min(len(ranked), rejected + max(1, round(len(ranked) * capacity.alerts_per_1000 / 1000)))
    medium = float(np.clip(ranked[alerts - 1], LOWEST, np.nextafter(high, 0)))
    if (scores >= medium).sum() > alerts and np.nextafter(medium, 1) < high:
        medium = float(np.nextafter(medium, 1))  # a tie that does not fit into the capacity stays below
    stopped, total = scores >= medium, int(frauds[-1])
    verified, found = int(stopped.sum()) - rejected, int(labels[stopped].sum())
    argument = (
        f"Chosen on {len(ranked)} later operations with {total} frauds. {argument} medium {medium:.6f} sends {verified} operations "
        f"({verified / len(ranked) * 1000:.1f} of 1000, capacity {capacity.alerts_per_1000:g}) to verification; with the rejected, "
        f"{found} of the frauds are stopped ({found / max(1, total):.1%})."
    )
    return Thresholds(medium, high), argument


def _high(ranked: NDArray[np.float64], frauds: NDArray[np.int64], capacity: Capacity) -> tuple[int, float, str]:
    """How many of the ranked operations (n,), highest first, are rejected, the score of the last, and why."""
    counts = np.arange(1, len(ranked) + 1)
    last_of_tie = np.append(ranked[1:] < ranked[:-1], True)
    precise = frauds / counts >= capacity.high_precision
    fitting = np.flatnonzero(
        precise & (counts >= capacity.high_at_least) & last_of_tie & (ranked > LOWEST) & (ranked < HIGHEST)
    )
    if not len(fitting):
        high = min((float(ranked[0]) + 1) / 2, HIGHEST)
        return 0, high, (
            f"No score reaches a precision of {capacity.high_precision:.0%} on {capacity.high_at_least} operations: high is "
            f"{high:.6f}, above every score seen, so that the model alone rejects nothing."
        )  # fmt: skip
    at = int(fitting[-1])
    return at + 1, float(ranked[at]), (
        f"high {ranked[at]:.6f}: {frauds[at]} of the {at + 1} operations at or above it were fraud ({frauds[at] / (at + 1):.1%})."
    )  # fmt: skip
