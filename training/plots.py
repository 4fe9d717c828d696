"""Figures of what a system did, from arrays alone: levels beside outcomes, by kind, scheme, reason and day.

Colours are Okabe and Ito's, told apart by colour-blind readers too; bars of a share are 95% intervals (Wilson). No figure
registers with pyplot, so none has to be closed. `levels` are RiskLevel; stopped is medium or high.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from domain.instants import DAY
from domain.levels import RiskLevel

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Words = NDArray[np.str_]
Dates = NDArray[np.datetime64]

FRAUD, GENUINE, MISSED, SYSTEM = "#D55E00", "#0072B2", "#BBBBBB", "#000000"
LEVELS = {RiskLevel.LOW: "low\n(passed)", RiskLevel.MEDIUM: "medium\n(verified)", RiskLevel.HIGH: "high\n(rejected)"}
Z = 1.96


def levels_against_outcomes(levels: Ints, is_fraud: Flags) -> Figure:
    """Left: the known frauds by level. Right: the stopped operations by level and by what they turned out to be. All (n,)."""
    figure, (left, right) = panels(1, 2, height=4.2)
    of_fraud = np.bincount(levels[is_fraud], minlength=len(RiskLevel))
    bars = left.bar(list(LEVELS.values()), of_fraud, color=[MISSED, FRAUD, FRAUD])
    left.bar_label(bars, [f"{count:,} ({percent(count, of_fraud.sum())})" for count in of_fraud], padding=2)
    left.set(title=f"Where the {of_fraud.sum():,} known frauds went", ylabel="known frauds", xlabel="level")
    names, counts = list(LEVELS.values())[1:], [np.bincount(levels[mask], minlength=3)[1:] for mask in (is_fraud, ~is_fraud)]
    right.bar(names, counts[0], color=FRAUD, label="fraud")
    top = right.bar(names, counts[1], bottom=counts[0], color=GENUINE, label="genuine, or nothing known")
    labels = [f"{fraud:,} of {fraud + genuine:,}\nfraud" for fraud, genuine in zip(*counts, strict=True)]
    right.bar_label(top, labels, padding=2)
    right.set(title=f"What the {np.sum(counts):,} stopped operations were", ylabel="stopped operations", xlabel="level")
    right.legend(frameon=False, loc="upper right")
    left.margins(y=0.2)
    right.margins(y=0.45)
    return figure


def by_kind(kinds: Words, levels: Ints, is_fraud: Flags) -> Figure:
    """Per kind of operation, all (n,): share of its known frauds that was stopped, and share of its genuine that was."""
    names, stopped = _by_count(kinds, is_fraud), levels > RiskLevel.LOW
    figure, (left, right) = panels(1, 2, height=1.4 + 0.38 * len(names), sharey=True)
    found, frauds = _counts(kinds, names, is_fraud & stopped), _counts(kinds, names, is_fraud)
    _dots(left, names, found, frauds, FRAUD, most=1.0)
    left.set(title="Recall by kind of operation", xlabel="share of the known frauds that was stopped")
    alarms, genuine = _counts(kinds, names, ~is_fraud & stopped), _counts(kinds, names, ~is_fraud)
    _dots(right, names, alarms, genuine, GENUINE)
    right.set(title="False alarms by kind of operation", xlabel="share of the genuine operations that was stopped")
    return figure


def by_scheme(schemes: Words, levels: Ints, is_fraud: Flags) -> Figure:
    """Per scheme that outcomes name, all (n,): share of its known frauds that was stopped; genuine operations have none."""
    named = np.where(schemes == "", "not named", schemes)[is_fraud]
    stopped, every = levels[is_fraud] > RiskLevel.LOW, np.ones(len(named), np.bool_)
    names = _by_count(named, every)
    figure, (axes,) = panels(1, 1, height=1.4 + 0.38 * len(names))
    _dots(axes, names, _counts(named, names, stopped), _counts(named, names, every), FRAUD, most=1.0)
    axes.set(title="Recall by scheme", xlabel="share of the known frauds that was stopped")
    return figure


def stopped_by(masks: Mapping[str, Flags], is_fraud: Flags, title: str) -> Figure:
    """masks: name -> stopped operations (n,) that belong under it. How many of each were fraud, how many genuine."""
    rows = sorted(((mask.sum(), name, (mask & is_fraud).sum()) for name, mask in masks.items()), reverse=True)
    figure, (axes,) = panels(1, 1, height=1.6 + 0.38 * len(rows))
    names, frauds = [name.replace("_", " ") for _, name, _ in rows], np.array([fraud for *_, fraud in rows], np.int64)
    every = np.array([count for count, *_ in rows], np.int64)
    axes.barh(names, frauds, color=FRAUD, label="fraud")
    end = axes.barh(names, every - frauds, left=frauds, color=GENUINE, label="genuine, or nothing known")
    labels = [f"{fraud:,} of {count:,} fraud ({percent(fraud, count)})" for fraud, count in zip(frauds, every, strict=True)]
    axes.bar_label(end, labels, padding=4)
    axes.set(title=title, xlabel="stopped operations")
    axes.invert_yaxis()
    axes.margins(x=0.35)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, loc="lower right")
    return figure


def over_time(times: Ints, levels: Ints, is_fraud: Flags) -> Figure:
    """Per day (UTC) of `times` (n,) in ms: known frauds stopped and missed, recall, and false alarms among the genuine."""
    days, stopped = times // DAY, levels > RiskLevel.LOW
    every = np.arange(days.min(), days.max() + 1)
    dates = every.astype("datetime64[D]")
    found, frauds = _counts(days, every, is_fraud & stopped), _counts(days, every, is_fraud)
    alarms, genuine = _counts(days, every, ~is_fraud & stopped), _counts(days, every, ~is_fraud)
    figure, (counts, recall, false) = panels(3, 1, height=7.5, sharex=True)
    counts.bar(dates, found, color=FRAUD, label="stopped")
    counts.bar(dates, frauds - found, bottom=found, color=MISSED, label="missed")
    counts.set(title="Known frauds by the day on which they were committed", ylabel="known frauds")
    counts.yaxis.set_major_locator(MaxNLocator(integer=True))
    counts.legend(frameon=False, ncols=2)
    counts.margins(y=0.25)
    _shares(recall, dates, found, frauds, FRAUD)
    recall.set(title="Recall", ylabel="share of known frauds\nstopped", ylim=(-0.03, 1.03))
    _shares(false, dates, alarms, genuine, GENUINE)
    false.set(title="False alarms", ylabel="share of genuine\nstopped", xlabel="day (UTC)", ylim=(0, None))
    labelled = dates[:: 1 + len(dates) // 14]
    false.set_xticks(labelled, [f"{day:%d %b}" for day in labelled.tolist()])
    return figure


def known_after(days: Floats) -> Figure:
    """days (frauds,): from each known fraud to the moment at which it became known. The share that is known by then."""
    figure, (axes,) = panels(1, 1, height=3.4)
    axes.ecdf(days, color=FRAUD)
    middle, late = np.quantile(days, (0.5, 0.9))
    for share, value in ((0.5, middle), (0.9, late)):
        axes.plot([0, value, value], [share, share, 0], color=SYSTEM, linestyle=":", linewidth=1)
        axes.annotate(f"{share:.0%} within {value:.1f} days", (value, share), (8, -12), textcoords="offset points")
    axes.set(title="How late frauds become known", xlabel="days since the operation", ylabel="share of the known frauds")
    axes.set(xlim=(0, None), ylim=(0, 1.02))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    return figure


def recall_against_alerts(scores: Floats, is_fraud: Flags, levels: Ints) -> Figure:
    """Recall of the score alone for every number of stopped operations, and the point of the whole system. All (n,)."""
    count, found = _ranked(scores, is_fraud)
    figure, (axes,) = panels(1, 1, height=4.2)
    axes.step(count / len(scores) * 1000, found / is_fraud.sum(), where="post", color=GENUINE, label="score alone")
    axes.plot(count / len(scores) * 1000, count / len(scores), color=MISSED, linestyle="--", label="stopping at random")
    stopped = levels > RiskLevel.LOW
    point = (stopped.mean() * 1000, (stopped & is_fraud).sum() / is_fraud.sum())
    axes.plot(*point, "D", color=FRAUD, markersize=9, label=f"all layers: {point[1]:.0%} at {point[0]:.1f} of 1,000")
    axes.set(title="Recall against the number of stopped operations", ylabel="share of the known frauds that is stopped")
    axes.set(xlabel="stopped of 1,000 operations (logarithmic)", xscale="log", ylim=(0, 1.02))
    axes.set_xlim(max(0.1, 1000 / len(scores)), 1000)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(frameon=False, loc="upper left")
    return figure


def precision_recall(scores: Floats, is_fraud: Flags, levels: Ints) -> Figure:
    """Precision of the score alone at every recall, the point of the whole system, and the share of fraud. All (n,)."""
    count, found = _ranked(scores, is_fraud)
    figure, (axes,) = panels(1, 1, height=4.6)
    axes.step(found / is_fraud.sum(), found / count, where="post", color=GENUINE, label="score alone")
    axes.axhline(is_fraud.mean(), color=MISSED, linestyle="--", label=f"stopping at random: {is_fraud.mean():.2%}")
    stopped = levels > RiskLevel.LOW
    hits = (stopped & is_fraud).sum()
    axes.plot(hits / is_fraud.sum(), hits / max(1, stopped.sum()), "D", color=FRAUD, markersize=9, label="all layers")
    axes.set(title="Precision against recall", xlabel="recall: share of the known frauds that is stopped")
    axes.set(ylabel="precision: share of the stopped that is fraud", xlim=(0, 1.02), ylim=(0, 1.02))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    axes.legend(frameon=False)
    return figure


def panels(
    rows: int, columns: int, height: float, *, sharex: bool = False, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure of this width, and its panels row by row."""
    figure = Figure(figsize=(9.5, height), dpi=100, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=sharex, sharey=sharey).ravel().tolist()
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels


def _dots(axes: Axes, names: Words, parts: Ints, wholes: Ints, colour: str, most: float | None = None) -> None:
    """A dot and its interval for each name, first on top, with the counts beside it. most: where the axis ends."""
    share, low, high = wilson(parts, wholes)
    most = most or float(np.nanmax(high))
    rows = np.arange(len(names))
    axes.errorbar(share, rows, xerr=(share - low, high - share), fmt="o", color=colour, capsize=3)
    for row, part, whole in zip(rows.tolist(), parts, wholes, strict=True):
        text = f"{part:,} of {whole:,}" if whole else "none known"
        axes.text(1.02, row, text, va="center", transform=axes.get_yaxis_transform())
    axes.set_yticks(rows, [name.replace("_", " ") for name in names])
    axes.set(xlim=(-0.02 * most, most * 1.02), ylim=(len(names) - 0.5, -0.5))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="x", alpha=0.3)


def _shares(axes: Axes, dates: Dates, parts: Ints, wholes: Ints, colour: str) -> None:
    """A share and its interval for each day."""
    share, low, high = wilson(parts, wholes)
    axes.errorbar(dates, share, (share - low, high - share), fmt="o", color=colour, capsize=3)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="y", alpha=0.3)


def wilson(parts: Ints, wholes: Ints) -> tuple[Floats, Floats, Floats]:
    """Share, and both ends of its 95% interval; NaN where there is nothing to count."""
    n = np.where(wholes > 0, wholes, np.nan)
    share = parts / n
    middle, half = share + Z**2 / (2 * n), Z * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return share, np.minimum(share, (middle - half) / (1 + Z**2 / n)), np.maximum(share, (middle + half) / (1 + Z**2 / n))


def _ranked(scores: Floats, is_fraud: Flags) -> tuple[Ints, Ints]:
    """For every distinct score, highest first: how many operations have it or more, and how many of them are fraud."""
    heard = np.isfinite(scores)
    order = np.argsort(-scores[heard], kind="stable")
    ranked, found = scores[heard][order], np.cumsum(is_fraud[heard][order])
    last = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
    return last.astype(np.int64) + 1, found[last].astype(np.int64)


def _by_count(groups: Words, mask: Flags) -> Words:
    """The distinct groups, that with the most of the mask first."""
    names = np.unique(groups)
    return names[np.argsort(-_counts(groups, names, mask), kind="stable")]


def _counts(groups: Words | Ints, names: Words | Ints, mask: Flags) -> Ints:
    return np.array([np.count_nonzero(mask & (groups == name)) for name in names], np.int64)


def percent(part: int, whole: int) -> str:
    """A share in words, `none` of nothing."""
    return f"{part / whole:.0%}" if whole else "none"
