"""What thresholds promised when they were chosen, beside what they kept on days that nobody had seen then."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from domain.levels import Thresholds
from training import figures, plots
from training.intervals import Interval, interval, resampled
from training.rankings import Floats
from training.thresholds import Point
from training.unseen import Unseen

RESAMPLES = 300


@dataclass(frozen=True)
class Promise:
    """A figure in words, as promised and as kept, with its interval; is_share: between 0 and 1, else a number a day."""

    words: str
    promised: float
    kept: float
    interval: Interval
    is_share: bool

    @property
    def is_broken(self) -> bool:
        """Whether what was promised lies outside of the interval of what was kept."""
        return not self.interval.low <= self.promised <= self.interval.high


def promises(chosen: Point, unseen: Unseen, thresholds: Thresholds, seed: int = 1) -> list[Promise]:
    """The chosen point against unseen operations, with intervals by resampling customers; without what has no answer."""
    kept = partial(_stopped, unseen, thresholds)
    values, drawn = kept(None), resampled(kept, unseen.operations.customers, RESAMPLES, seed)
    stated = (
        ("frauds stopped", chosen.recall, "medium_recall", True),
        ("money of the frauds stopped", chosen.value_recall, "medium_value_recall", True),
        ("frauds rejected at once", chosen.high_recall, "high_recall", True),
        ("fraud among the rejected", chosen.high_precision, "high_precision", True),
        ("operations stopped a day", chosen.verified_per_day + chosen.rejected_per_day, "medium_stopped", False),
        ("of them rejected", chosen.rejected_per_day, "high_stopped", False),
    )
    found = [Promise(words, told, values[name], interval(drawn[name]), share) for words, told, name, share in stated]
    return [promise for promise in found if not np.isnan([promise.promised, promise.kept]).any()]


def table(found: Iterable[Promise]) -> Iterator[str]:
    """The figures as lines for people."""
    yield f"{'':30}{'promised':>10}{'kept':>10}   95% interval"
    for one in found:
        show = "{:.1%}".format if one.is_share else "{:.1f}".format
        span = f"{show(one.interval.low)} to {show(one.interval.high)}"
        yield f"{one.words:30}{show(one.promised):>10}{show(one.kept):>10}   {span}{'   <- outside' if one.is_broken else ''}"


def plot(found: Iterable[Promise]) -> Figure:
    """Shares alone: what was promised as a grey bar across, what was kept as a dot with its interval."""
    shares = [one for one in found if one.is_share]
    figure, (axes,) = plots.panels(1, 1, height=1.6 + 0.45 * len(shares))
    rows = np.arange(len(shares))
    kept = np.array([one.kept for one in shares])
    sides = (kept - [one.interval.low for one in shares], [one.interval.high for one in shares] - kept)
    axes.plot([one.promised for one in shares], rows, "|", color=plots.SYSTEM, markersize=22, label="promised")
    axes.errorbar(kept, rows, xerr=np.maximum(sides, 0), fmt="o", color=plots.FRAUD, capsize=3, label="kept")
    axes.set_yticks(rows, [one.words for one in shares])
    axes.set(xlim=(-0.02, 1.02), ylim=(len(shares) - 0.5, -0.5), xlabel="share", title="Promised and kept")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="x", alpha=0.3)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _stopped(unseen: Unseen, thresholds: Thresholds, weights: Floats | None) -> dict[str, float]:
    """What each threshold stops: `medium_recall`, `high_precision` and so on; `_stopped` is a number a day."""
    operations, found = unseen.operations, dict[str, float]()
    days = len(np.unique(operations.days))
    for name, at in asdict(thresholds).items():
        caught = asdict(figures.caught(operations.labels, operations.amounts, unseen.scores >= at, weights))
        caught["stopped"] /= days
        found |= {f"{name}_{figure}": value for figure, value in caught.items()}
    return found
