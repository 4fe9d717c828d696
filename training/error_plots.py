"""Figures of a system's errors, from arrays alone: which frauds it missed, how nearly and why, and whom it stopped for nothing.

Everywhere (n,): levels RiskLevel; is_fraud; scores, NaN for none; amounts tyiyn. Stopped is medium or high; colours as in `plots`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from domain.criteria import FraudCriterion
from domain.levels import RiskLevel, Thresholds
from features.bins import Bins, Counts, Reference
from training import plots
from training.plots import FRAUD, GENUINE, MISSED, SYSTEM, Flags, Floats, Ints, Words

TYIYN = 100
MOST_STOPS = 5
LINE = 52
"""Letters of a panel's title."""
AMOUNT_EDGES = (1_000, 5_000, 20_000, 100_000)
"""Som at which a band of amounts ends."""


@dataclass(frozen=True)
class Fates:
    """What became of decided operations, as masks (n,): frauds that were stopped or missed, genuine ones stopped or passed."""

    caught: Flags
    missed: Flags
    alarms: Flags
    passed: Flags


def fates(levels: Ints, is_fraud: Flags) -> Fates:
    """Of every decided operation."""
    stopped = levels > RiskLevel.LOW
    return Fates(is_fraud & stopped, is_fraud & ~stopped, ~is_fraud & stopped, ~is_fraud & ~stopped)


def by_word(words: Words, unnamed: str = "not named") -> dict[str, Flags]:
    """The operations (n,) under each different word, that of most operations first."""
    named, counts = np.unique(np.where(words == "", unnamed, words), return_counts=True)
    return {str(word): np.where(words == "", unnamed, words) == word for word in named[np.argsort(-counts, kind="stable")]}


def by_amount(amounts: Ints) -> dict[str, Flags]:
    """The operations (n,) in each band of amounts, the smallest first."""
    band = np.digitize(amounts, np.array(AMOUNT_EDGES) * TYIYN, right=True)
    between = [f"{low:,} to {high:,} som" for low, high in pairwise(AMOUNT_EDGES)]
    names = (f"up to {AMOUNT_EDGES[0]:,} som", *between, f"above {AMOUNT_EDGES[-1]:,} som")
    return {name: band == place for place, name in enumerate(names)}


def missed_by(masks: Mapping[str, Flags], amounts: Ints, found: Fates, title: str) -> Figure:
    """masks: name -> operations (n,). Left how many frauds were stopped and missed, right how much money they moved."""
    rows = {name: mask for name, mask in masks.items() if (mask & (found.caught | found.missed)).any()}
    figure, (left, right) = plots.panels(1, 2, height=1.7 + 0.4 * len(rows), sharey=True)
    names = [name.replace("_", " ") for name in rows]
    for axes, worth, words in (
        (left, np.ones(len(amounts)), "known frauds"),
        (right, amounts / TYIYN, "som of these frauds"),
    ):
        caught, missed = (
            np.array([worth[mask & fate].sum() for mask in rows.values()]) for fate in (found.caught, found.missed)
        )
        axes.barh(names, caught, color=FRAUD, label="stopped")
        end = axes.barh(names, missed, left=caught, color=MISSED, label="missed")
        axes.bar_label(
            end, [f"{part:,.0f} of {part + rest:,.0f} missed" for part, rest in zip(missed, caught, strict=True)], padding=4
        )
        axes.set(xlabel=words)
        axes.margins(x=0.6)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter("{x:,.0f}")
    left.invert_yaxis()
    figure.suptitle(title)
    figure.legend(*left.get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=2)
    return figure


def near_the_threshold(scores: Floats, found: Fates, thresholds: Thresholds) -> Figure:
    """The scores of missed frauds, stopped frauds, false alarms and what passed, each in its own panel, with both thresholds."""
    heard = np.isfinite(scores)
    drawn = np.clip(np.where(heard, scores, 1), 1e-6, 1)
    edges = _edges(float(drawn.min()), thresholds)
    figure, panels = plots.panels(4, 1, height=7.5, sharex=True)
    groups = (("missed frauds", found.missed, MISSED), ("stopped frauds", found.caught, FRAUD),
              ("genuine, stopped", found.alarms, GENUINE), ("genuine, passed", found.passed, GENUINE))  # fmt: skip
    for axes, (words, mask, colour) in zip(panels, groups, strict=True):
        axes.hist(drawn[mask & heard], edges, color=colour)
        for name, at, side in (("medium ", thresholds.medium, "right"), (" high", thresholds.high, "left")):
            axes.axvline(at, color=SYSTEM, linestyle=":", linewidth=1)
            if axes is panels[0]:  # on either side: the thresholds may lie close together
                axes.annotate(name, (at, 1.02), xycoords=("data", "axes fraction"), ha=side, fontsize=9)
        axes.set(ylabel="operations")
        axes.set_title(f"{words}: {np.count_nonzero(mask & heard):,}", loc="left", fontsize=10)
        axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        axes.yaxis.set_major_formatter("{x:,.0f}")
    panels[-1].set(xscale="log", xlabel="score (logarithmic)")
    panels[-1].xaxis.set_major_formatter("{x:g}")
    return figure


def price_of_lowering(scores: Floats, found: Fates) -> Figure:
    """How many of the missed frauds a lower medium would stop, against how many more genuine operations it would stop."""
    passed, missed = np.isfinite(scores) & (found.missed | found.passed), found.missed
    order = np.argsort(-scores[passed], kind="stable")
    is_fraud = missed[passed][order]
    caught, disturbed = np.append(0, np.cumsum(is_fraud)), np.append(0, np.cumsum(~is_fraud))
    figure, (axes,) = plots.panels(1, 1, height=4.2)
    axes.step(np.maximum(disturbed, 0.5), caught, where="post", color=FRAUD)
    axes.set(xscale="log", xlabel="genuine operations stopped in addition (logarithmic)", ylabel="missed frauds stopped")
    axes.set_title(f"What a lower medium would catch of the {is_fraud.sum():,} missed frauds")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    return figure


def without_history(unknown: Mapping[str, Flags], found: Fates) -> Figure:
    """unknown: who it is (the customer, the device) -> operations (n,) at which nothing was known of him. Shares of each fate."""
    names = list(unknown)
    figure, (axes,) = plots.panels(1, 1, height=1.8 + 0.75 * len(names))
    groups = (("missed frauds", found.missed, MISSED), ("stopped frauds", found.caught, FRAUD),
              ("all genuine", found.alarms | found.passed, GENUINE))  # fmt: skip
    for place, (words, mask, colour) in enumerate(groups):
        parts = np.array([np.count_nonzero(unknown[name] & mask) for name in names])
        share, low, high = plots.wilson(parts, np.full(len(names), np.count_nonzero(mask)))
        rows = np.arange(len(names)) + (place - 1) * 0.22
        label = f"{words} ({np.count_nonzero(mask):,})"
        axes.errorbar(share, rows, xerr=(share - low, high - share), fmt="o", color=colour, capsize=3, label=label)
    axes.set_yticks(range(len(names)), names)
    axes.set(ylim=(len(names) - 0.5, -0.5), xlim=(-0.02, 1.02), title="Of whom nothing was known when the operation came")
    axes.set(xlabel="share of the operations")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="x", alpha=0.3)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def evidence(added: Mapping[str, Floats], serves: Sequence[FraudCriterion]) -> Figure:
    """Per criterion, what all its features together add on average to the score of each of three groups, in log odds.

    added: group (missed, caught, genuine) -> (m, features) log odds; serves: of the features. On top is the criterion by which
    caught and missed differ most.
    """
    missed, caught, genuine = added
    means = {name: _by_criterion(values, serves) for name, values in added.items()}
    criteria = sorted(means[missed], key=lambda criterion: means[missed][criterion] - means[caught][criterion])
    figure, (axes,) = plots.panels(1, 1, height=1.6 + 0.5 * len(criteria))
    for place, (name, colour) in enumerate(zip((missed, caught, genuine), (MISSED, FRAUD, GENUINE), strict=True)):
        rows = np.arange(len(criteria)) + (place - 1) * 0.27
        label = f"{name} ({len(added[name]):,})"
        axes.barh(rows, [means[name][criterion] for criterion in criteria], height=0.26, color=colour, label=label)
    axes.axvline(0, color=SYSTEM, linewidth=0.8)
    axes.set_yticks(range(len(criteria)), [f"{one} {one.name.replace('_', ' ').lower()}" for one in criteria])
    axes.set(ylim=(len(criteria) - 0.4, -0.6), title="What each criterion says of an operation")
    axes.set(xlabel="mean log odds: to the right suspicious, to the left harmless")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    return figure


def most_different(reference: Reference, first: Counts, second: Counts, among: Mapping[str, FraudCriterion]) -> list[int]:
    """Of the features of each criterion, the column in which two groups fall most differently into the bins, the most different first.

    first, second: `reference.count` of each group, (columns, WIDTH); difference: half the sum of |share - share|.
    """
    shares = [counts / np.maximum(1, counts.sum(axis=1, keepdims=True)) for counts in (first, second)]
    apart = np.abs(shares[0] - shares[1]).sum(axis=1) / 2
    best: dict[FraudCriterion, int] = {}
    for column in np.argsort(-apart, kind="stable").tolist():
        if (name := reference.names[column]) in among:
            best.setdefault(among[name], column)
    return list(best.values())


def spread(bins: Sequence[Bins], counts: Sequence[Mapping[str, Ints]]) -> Figure:
    """For each column, the share of every group's operations in each bin; counts: group -> (WIDTH,), the same groups everywhere."""
    rows = (len(bins) + 1) // 2
    figure, panels = plots.panels(rows, 2, height=3.4 * rows)
    for axes, column, groups in zip(panels, bins, counts, strict=False):
        _bars(axes, column, groups)
    for axes in panels[len(bins) :]:
        axes.remove()
    figure.legend(*panels[0].get_legend_handles_labels(), frameon=False, loc="outside upper left", ncols=len(counts[0]))
    return figure


def alarms_by_customer(customers: Ints, alarms: Flags) -> Figure:
    """How many genuine customers were stopped once, twice and so on; customers (n,) numbers."""
    each = np.bincount(customers[alarms])
    stops = np.minimum(each[each > 0], MOST_STOPS)
    counts = np.bincount(stops, minlength=MOST_STOPS + 1)[1:]
    figure, (axes,) = plots.panels(1, 1, height=3.6)
    names = ["once", *(f"{times} times" for times in range(2, MOST_STOPS)), f"{MOST_STOPS} times and more"]
    axes.bar_label(axes.bar(names, counts, color=GENUINE), [f"{count:,}" for count in counts], padding=2)
    axes.set(title=f"How often {counts.sum():,} customers were stopped with a genuine operation", ylabel="customers")
    axes.margins(y=0.15)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def money_held(masks: Mapping[str, Flags], amounts: Ints, alarms: Flags, most: int) -> Iterator[str]:
    """Lines for people: by name of the mask, how many genuine operations were stopped and how much money they held, most first."""
    held = {
        name: (float(amounts[mask & alarms].sum()) / TYIYN, np.count_nonzero(mask & alarms)) for name, mask in masks.items()
    }
    for name, (money, count) in sorted(held.items(), key=lambda item: (-item[1][0], item[0]))[:most]:
        yield f"{name:44}{count:7,} alarms{money:16,.0f} som held"


def most_stopped(customers: Ints, names: Sequence[str], amounts: Ints, alarms: Flags, most: int) -> Iterator[str]:
    """Lines for people: the customers with most genuine operations stopped; names: masked, by number."""
    every, stopped = np.bincount(customers, minlength=len(names)), np.bincount(customers[alarms], minlength=len(names))
    money = np.bincount(customers[alarms], amounts[alarms] / TYIYN, minlength=len(names))
    yield f"{'':28}{'stopped':>9}{'of operations':>15}{'som stopped':>16}"
    for number in np.lexsort((-money, -stopped))[:most].tolist():
        if stopped[number]:
            yield f"{names[number]:28}{stopped[number]:>9,}{every[number]:>15,}{money[number]:>16,.0f}"


def _by_criterion(added: Floats, serves: Sequence[FraudCriterion]) -> dict[FraudCriterion, float]:
    """Mean log odds (m, features) of all features of each criterion together."""
    of = np.array([criterion.value for criterion in serves])
    return {one: float(added[:, of == one.value].sum(axis=1).mean()) for one in FraudCriterion if (of == one.value).any()}


def _edges(lowest: float, thresholds: Thresholds) -> list[float]:
    """Of bins on a logarithmic scale, none of which lies across medium."""
    medium = max(thresholds.medium, 2e-6)
    return [*np.geomspace(min(lowest, medium / 2), medium, 25)[:-1].tolist(), *np.geomspace(medium, 1, 15).tolist()]


def _bars(axes: Axes, column: Bins, groups: Mapping[str, Ints]) -> None:
    shares = {name: counts[: len(column.words)] / max(1, counts.sum()) for name, counts in groups.items()}
    shown = np.flatnonzero(np.sum(list(shares.values()), axis=0) > 0)
    width = 0.8 / len(groups)
    for place, (name, colour) in enumerate(zip(groups, (MISSED, FRAUD, GENUINE), strict=True)):
        at = np.arange(len(shown)) + (place - (len(groups) - 1) / 2) * width
        axes.bar(at, shares[name][shown], width=width * 0.95, color=colour, label=name)
    words = [column.words[i] for i in shown]
    axes.set_xticks(np.arange(len(shown)), words, rotation=40, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_title("\n".join(wrap(column.name.replace("_", " "), LINE)), fontsize=9)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_locator(MaxNLocator(5))
