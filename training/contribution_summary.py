"""What moves a model's scores over many operations: for the model card, as tables and a plot."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from numpy.typing import NDArray

from features.catalogue import Entry
from features.tree_contributions import Contributions

Floats = NDArray[np.float64]

SAMPLE = 2_000
"""Operations of a summary, evenly taken."""
SHOWN = 20
COLOURS = "coolwarm"
BANDS = 60
"""Columns of a strip in which the points are counted, to be spread where they are dense."""


@dataclass(frozen=True)
class Summary:
    """Values of operations (n, features) and what each adds, in log odds of the calibrated score; entries: the features."""

    matrix: Floats
    added: Floats
    entries: Sequence[Entry]

    def features(self) -> list[tuple[Entry, float, int]]:
        """Each feature with its mean |log odds| and its column, the strongest first."""
        means = np.abs(self.added).mean(axis=0)
        return [(self.entries[i], float(means[i]), int(i)) for i in np.argsort(-means, kind="stable")]

    def criteria(self) -> list[tuple[str, float]]:
        """Each criterion in words with the mean |log odds| of all that serves it, the strongest first."""
        serving = {entry.serves for entry in self.entries}
        columns = {criterion: [i for i, e in enumerate(self.entries) if e.serves is criterion] for criterion in serving}
        means = {f"{c} {c.words}": float(np.abs(self.added[:, at].sum(axis=1)).mean()) for c, at in columns.items()}
        return sorted(means.items(), key=lambda item: (-item[1], item[0]))


def summary_of(contributions: Contributions, matrix: Floats, entries: Sequence[Entry]) -> Summary:
    """Of a matrix (n, features), of which SAMPLE rows are taken; entries in the order of its columns."""
    sample = matrix[:: -(-len(matrix) // SAMPLE)]
    return Summary(sample, contributions.slope * contributions.of_many(sample), entries)


def section(summary: Summary, plot: str) -> str:
    """The part of a card: both tables, and the plot's file."""
    return "\n".join(_lines(summary, plot))


def _lines(summary: Summary, plot: str) -> Iterator[str]:
    yield "## What moves the score"
    yield ""
    yield f"Exact TreeSHAP of {len(summary.matrix):,} later operations: mean |log odds| that a value adds to or takes from the score."
    yield ""
    yield from ("| criterion | mean log odds |", "|---|---|")
    yield from (f"| {words} | {mean:.4f} |" for words, mean in summary.criteria())
    yield from ("", f"![What each feature adds]({plot})", "")
    yield from (f"| the {SHOWN} strongest features | serves | mean log odds |", "|---|---|---|")
    yield from (f"| {entry.meaning} (`{entry.name}`) | {entry.serves} | {mean:.4f} |" for entry, mean, _ in _shown(summary))


def plot(summary: Summary) -> Figure:
    """A strip for each of the strongest features: a point an operation, to the right where it raises the score."""
    shown = _shown(summary)
    figure = Figure(figsize=(11, 0.36 * len(shown) + 1.4), layout="constrained")
    axes = figure.subplots()
    for place, (_, _, column) in enumerate(shown):
        _strip(axes, place, summary.added[:, column], _ranks(summary.matrix[:, column]))
    axes.set_yticks(range(len(shown)), [entry.name for entry, _, _ in shown], fontsize=8)
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.set(title="What each feature adds to the score", xlabel="log odds", ylim=(len(shown) - 0.4, -0.6))
    bar = figure.colorbar(ScalarMappable(cmap=COLOURS), ax=axes, ticks=[0, 1], aspect=40)
    bar.ax.set_yticklabels(["lowest value", "highest"])
    bar.set_label("black: missing", labelpad=-20)
    return figure


def _strip(axes: Axes, place: int, added: Floats, ranks: Floats) -> None:
    heights, missing = place + _spread(added), np.isnan(ranks)
    axes.scatter(added[missing], heights[missing], s=5, c="black", linewidths=0)
    points = (added[~missing], heights[~missing])
    axes.scatter(*points, s=5, c=ranks[~missing], cmap=COLOURS, vmin=0, vmax=1, linewidths=0)


def _shown(summary: Summary) -> list[tuple[Entry, float, int]]:
    return summary.features()[:SHOWN]


def _ranks(values: Floats) -> Floats:
    """The share of the other values that a value is above, ties alike; NaN for a missing one."""
    known = values[~np.isnan(values)]
    below = np.searchsorted(np.sort(known), values, side="left") / max(1, len(known) - 1)
    return np.where(np.isnan(values), np.nan, np.minimum(below, 1))


def _spread(added: Floats) -> Floats:
    """Heights (n,) within 0.4: points that lie at one place stand above and below each other, the more the wider."""
    band = np.digitize(added, np.linspace(added.min(), added.max() + 1e-12, BANDS))
    order = np.lexsort((added, band))
    first = np.searchsorted(band[order], band[order], side="left")
    counts = np.bincount(band)
    within = np.empty(len(added))
    within[order] = (np.arange(len(added)) - first) / np.maximum(1, counts[band[order]] - 1) - 0.5
    sides = np.where(np.arange(len(added)) % 2 == 0, 1.0, -1.0)
    return 0.8 * sides * np.abs(within) * counts[band] / counts.max()
