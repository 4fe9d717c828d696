"""Where medium and high begin, and the argument for it (para. 10-12)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.errors import ThresholdError
from domain.levels import Thresholds


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

    medium: the score that sends `alerts_per_1000` to people. high: the lowest score above it from which on the required
    precision holds; where no score reaches it, half-way between the highest score seen and 1, and the argument says so.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, frauds = scores[order], np.cumsum(labels[order])
    alerts = max(1, round(len(scores) * capacity.alerts_per_1000 / 1000))
    medium = float(np.clip(ranked[min(alerts, len(ranked)) - 1], 1e-9, 1 - 1e-6))
    counts = np.arange(1, len(ranked) + 1)
    last_of_tie = np.append(ranked[1:] < ranked[:-1], True)
    precise = frauds / counts >= capacity.high_precision
    fitting = np.flatnonzero(precise & (counts >= capacity.high_at_least) & last_of_tie & (ranked > medium) & (ranked < 1))
    recall = frauds[alerts - 1] / max(1, frauds[-1])
    argument = (
        f"Chosen on {len(scores)} later operations with {int(frauds[-1])} frauds. medium {medium:.6f} sends "
        f"{capacity.alerts_per_1000:g} of 1000 operations to verification or beyond and finds {recall:.1%} of the frauds. "
    )
    if len(fitting):
        at = fitting[-1]
        high = float(ranked[at])
        argument += f"high {high:.6f}: {frauds[at]} of the {counts[at]} operations above it were fraud ({frauds[at] / counts[at]:.1%})."
    else:
        high = (max(medium, float(ranked[0])) + 1) / 2
        argument += (
            f"No score reaches a precision of {capacity.high_precision:.0%} on {capacity.high_at_least} operations: high is "
            f"{high:.6f}, above every score seen, so that the model alone rejects nothing."
        )
    return Thresholds(medium, high), argument
