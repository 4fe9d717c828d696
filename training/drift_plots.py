"""Figures of drift, from findings and counts alone: what moved, since when, and how its values are spread now.

Colours as in `plots.py`; no figure registers with pyplot.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from features.bins import Bins, Counts, Floats
from features.stability import CHANGED, MOVING, Finding, Level

TRAINING, LIVE = "#BBBBBB", "#0072B2"
LEVELS = {Level.STABLE: "#009E73", Level.MOVING: "#E69F00", Level.CHANGED: "#D55E00",
          Level.TOO_FEW: "#BBBBBB", Level.TOO_SHORT: "#BBBBBB"}  # fmt: skip
LINES = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
MOST_DRAWN = 1.0
LONGEST = 44
"""Letters of a feature's name or a bin that a figure has room for."""


def ranking(found: Sequence[Finding]) -> Figure:
    """PSI of each finding, first on top, with the levels' borders and, as a black tick, what chance alone is expected to give.

    Bars end at MOST_DRAWN; their figures stand beside them.
    """
    figure = Figure(figsize=(9.5, 1.4 + 0.3 * len(found)), dpi=100, layout="constrained")
    axes = _bare(figure.subplots())
    rows = np.arange(len(found))
    drawn = [min(finding.psi, MOST_DRAWN) for finding in found]
    bars = axes.barh(rows, drawn, color=[LEVELS[finding.level] for finding in found])
    axes.bar_label(bars, [f"{finding.psi:.2f}" for finding in found], padding=4)
    axes.plot([finding.noise for finding in found], rows, "|", color="black", markersize=11, label="expected by chance")
    _borders(axes.axvline)
    axes.set_yticks(rows, [_short(finding.name) for finding in found])
    axes.set(
        ylim=(len(found) - 0.4, -0.6),
        xlim=(0, MOST_DRAWN * 1.1),
        xlabel=f"PSI against training (bars are cut at {MOST_DRAWN:g})",
        title="What moved most",
    )
    axes.legend(frameon=False, loc="lower right")
    return figure


def by_day(days: NDArray[np.int64], indices: Floats, names: Sequence[str]) -> Figure:
    """indices: PSI (days, names) of each day (since 1970, UTC), NaN for a day with too few vectors. A line a name."""
    figure = Figure(figsize=(9.5, 4.4), dpi=100, layout="constrained")
    axes = _bare(figure.subplots())
    every = np.arange(days.min(), days.max() + 1)
    whole = np.full((len(every), len(names)), np.nan)
    whole[days - days.min()] = indices
    for name, line, colour in zip(names, whole.T, LINES, strict=False):
        axes.plot(every.astype("datetime64[D]"), line, marker="o", color=colour, label=_short(name))
    _borders(axes.axhline)
    axes.set(
        title="PSI of each day",
        ylabel="PSI against training (logarithmic)",
        xlabel="day of the operations (UTC)",
        yscale="log",
    )
    axes.yaxis.set_major_formatter("{x:g}")
    labelled = every[:: 1 + len(every) // 10].astype("datetime64[D]")
    axes.set_xticks(labelled, [f"{day:%d %b}" for day in labelled.tolist()])
    if np.isnan(whole).all():
        axes.text(0.5, 0.5, "too few operations a day to read any", ha="center", transform=axes.transAxes)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def distributions(compared: Sequence[tuple[Bins, Counts]]) -> Figure:
    """Each column's bins with the share of the training vectors (grey) and of the live ones (blue); counts (WIDTH,) are live."""
    rows = (len(compared) + 1) // 2
    figure = Figure(figsize=(9.5, 3.4 * rows), dpi=100, layout="constrained")
    panels = figure.subplots(rows, 2, squeeze=False).ravel().tolist()
    for axes, (bins, counts) in zip(panels, compared, strict=False):
        _spread(_bare(axes), bins, counts)
    for axes in panels[len(compared) :]:
        axes.remove()
    figure.legend(*panels[0].get_legend_handles_labels(), frameon=False, loc="outside upper left", ncols=2)
    return figure


def _spread(axes: Axes, bins: Bins, live: Counts) -> None:
    before, now = (np.array(counts) / max(1, sum(counts)) for counts in (bins.counts, live[: len(bins.counts)].tolist()))
    shown = np.flatnonzero((before > 0) | (now > 0))
    places = np.arange(len(shown))
    axes.bar(places - 0.21, before[shown], width=0.4, color=TRAINING, label="in training")
    axes.bar(places + 0.21, now[shown], width=0.4, color=LIVE, label="live")
    axes.set_xticks(
        places, [_short(bins.words[i], 26) for i in shown], rotation=40, ha="right", rotation_mode="anchor", fontsize=8
    )
    axes.set_title(_short(bins.name), fontsize=10)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _borders(line: Callable[..., Any]) -> None:
    for at, level in ((MOVING, Level.MOVING), (CHANGED, Level.CHANGED)):
        line(at, color=LEVELS[level], linestyle="--", linewidth=1, label=f"{level} from {at:g}")


def _bare(axes: Axes) -> Axes:
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _short(words: str, most: int = LONGEST) -> str:
    """The words, or their beginning and end where they are too long for a figure."""
    words = words.replace("_", " ")
    half = most // 2 - 1
    return words if len(words) <= most else f"{words[:half]}…{words[-half:]}"
