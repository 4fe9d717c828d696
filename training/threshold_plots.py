"""Plots of where thresholds lie: on the operations that they were chosen on, on later ones, and against what errors cost."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from domain.levels import Thresholds
from training import plots
from training.ranked import Ranked
from training.thresholds import Argument, Costs, Point

THEN, NOW = "#999999", plots.FRAUD
CUTS = 200
SOM = 100
"""Minor units of a som."""


def promised_and_kept(promised: Argument, later: Argument, kept: Point) -> Figure:
    """Recall for every number of stopped operations, as promised and on later operations, and the thresholds on both lines.

    later: an argument made on the later operations, of which the curve is drawn; kept: what the chosen thresholds did to them.
    """
    figure, (axes,) = plots.panels(1, 1, height=4.8)
    for argument, point, colour, words in (
        (promised, promised.chosen, THEN, "promised"),
        (later, kept, NOW, "days that nobody had seen"),
    ):
        _recall(axes, argument, point, colour, words)
    axes.set(xscale="log", ylim=(0, 1.02), ylabel="share of the known frauds that is stopped")
    axes.set(xlabel="stopped of 1,000 operations (logarithmic)", title="What stopping from each score on catches")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper left")
    return figure


def costs_of_medium(ranked: Ranked, costs: Costs, thresholds: Thresholds) -> Figure:
    """What a day costs for each place of medium while high stays, in som: money lost to fraud, and all that stopping costs."""
    high, chosen = ranked.cut(thresholds.high), ranked.cut(thresholds.medium)
    cuts = _cuts(ranked, high)
    total = np.array([costs.total(ranked, int(cut), high) for cut in cuts]) / ranked.days / SOM
    lost = costs.lost * (ranked.money[-1] - ranked.money[cuts]) + costs.verified_lost * (
        ranked.money[cuts] - ranked.money[high]
    )
    lost = lost / ranked.days / SOM
    figure, (axes,) = plots.panels(1, 1, height=4.8)
    per_1000 = ranked.stopped[cuts] / ranked.operations * 1000
    axes.stackplot(per_1000, lost, total - lost, colors=(plots.FRAUD, plots.GENUINE), alpha=0.75,
                   labels=("lost to fraud", "work of the staff and patience of the customers"))  # fmt: skip
    least = int(np.argmin(total))
    for words, at, place in (("chosen", chosen, "--"), ("least", int(cuts[least]), ":")):
        axes.axvline(ranked.stopped[at] / ranked.operations * 1000, color=plots.SYSTEM, linestyle=place, label=words)
    axes.set(xscale="log", ylim=(0, 1.05 * total.max()), xlim=(per_1000[0], per_1000[-1]))
    axes.set(
        xlabel="stopped of 1,000 operations (logarithmic)",
        ylabel="som a day",
        title="What a day costs for each place of medium",
    )
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    figure.legend(frameon=False, loc="outside lower center", ncols=4)
    return figure


def _recall(axes: Axes, argument: Argument, point: Point, colour: str, words: str) -> None:
    scale = argument.days / argument.operations * 1000
    stopped = [one.stopped_per_day * scale for one in argument.curve]
    axes.plot(stopped, [one.recall for one in argument.curve], color=colour, label=f"{words} ({argument.frauds:,} frauds)")
    rejected, everything = point.rejected_per_day * scale, (point.rejected_per_day + point.verified_per_day) * scale
    for name, at, recall, marker in (("high", rejected, point.high_recall, "s"), ("medium", everything, point.recall, "D")):
        if at:
            label = f"{name}, {words}: {recall:.0%} at {at:.2g} of 1,000"
            axes.plot(
                at, recall, marker, color=colour, markeredgecolor=plots.SYSTEM, markersize=9, linestyle="", label=label
            )


def _cuts(ranked: Ranked, high: int) -> np.ndarray:
    """Cuts from high down, evenly spread on a logarithmic scale of stopped operations."""
    first = max(1, high)
    wanted = np.geomspace(ranked.stopped[first], ranked.operations, CUTS)
    return np.unique(np.clip(np.searchsorted(ranked.stopped, wanted), first, len(ranked.stopped) - 1))
