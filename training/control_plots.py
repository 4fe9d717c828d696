"""Figures of what a control share tells: estimates beside the truth that only a simulated world knows."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from training.plots import FRAUD, GENUINE, SYSTEM

Floats = NDArray[np.float64]
COLOURS = (FRAUD, GENUINE)


def estimates_against_truth(
    worlds: Sequence[str], truth: Floats, estimates: Mapping[str, Sequence[Floats]], title: str, xlabel: str
) -> Figure:
    """A row a world: the truth as a line, and for each estimate its mean over lots and the middle 95% of them.

    truth: (worlds,), shares; estimates: name -> for each world its values over lots (lots,), at most two names.
    """
    figure = Figure(figsize=(9.5, 1.4 + 0.62 * len(worlds)), dpi=100, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    rows = np.arange(len(worlds), dtype=np.float64)
    axes.vlines(truth, rows - 0.38, rows + 0.38, color=SYSTEM, linewidth=2.5, label="truth")
    for (name, values), colour, shift in zip(estimates.items(), COLOURS, (-0.17, 0.17), strict=False):
        means = np.array([lots.mean() for lots in values])
        low, high = np.array([np.quantile(lots, (0.025, 0.975)) for lots in values]).T
        label = f"{name}: mean, and the middle 95% of lots"
        axes.errorbar(means, rows + shift, xerr=(means - low, high - means), fmt="o", color=colour, capsize=3, label=label)
    axes.set_yticks(rows, list(worlds))
    axes.set(title=title, xlabel=xlabel, ylim=(len(worlds) - 0.4, -0.6))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="x", alpha=0.3)
    figure.legend(frameon=False, loc="outside lower center", ncols=3)
    return figure
