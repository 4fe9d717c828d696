"""What features are worth to a model: the average precision that is lost when their values are exchanged between operations.

Permutation importance (Breiman 2001, Random Forests, section 10), of single features and of all that serve one criterion together:
features that say nearly the same stand in for each other, so that each alone seems worth little and the group does not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from tqdm import tqdm

from training import plots
from training.rankings import Floats, Labels

Matrix = NDArray[np.float64]
Score = Callable[[Matrix], Floats]
REPEATS = 5
MOST_GENUINE = 10_000
LINE = 56
"""Letters of a bar's name."""


@dataclass(frozen=True)
class Rows:
    """Operations that value is measured on: matrix (n, features), labels (n,), and how many each row stands for (n,)."""

    matrix: Matrix
    labels: Labels
    weights: Floats


@dataclass(frozen=True)
class Worth:
    """What a group of features is worth: the average precision that is lost, in each repeat (repeats,); features: how many."""

    name: str
    features: int
    lost: Floats

    @property
    def mean(self) -> float:
        """Over the repeats."""
        return float(self.lost.mean())


def sample(matrix: Matrix, labels: Labels, seed: int) -> Rows:
    """All frauds, and at most MOST_GENUINE others drawn at random, who stand for all."""
    fraud, genuine = np.flatnonzero(labels == 1), np.flatnonzero(labels != 1)
    drawn = np.random.default_rng(seed).permutation(genuine)[:MOST_GENUINE]
    kept = np.sort(np.concatenate([fraud, drawn]))
    weights = np.where(labels[kept] == 1, 1.0, len(genuine) / max(1, len(drawn)))
    return Rows(matrix[kept], labels[kept], weights)


def worth(score: Score, rows: Rows, groups: Mapping[str, Sequence[int]], seed: int, repeats: int = REPEATS) -> list[Worth]:
    """groups: name -> columns that are exchanged together. That which loses most first."""
    whole, random = _ap(score, rows, rows.matrix), np.random.default_rng(seed)
    found = []
    for name, columns in tqdm(groups.items(), "features exchanged", delay=2, mininterval=1, leave=False):
        lost = [whole - _ap(score, rows, _exchanged(rows, list(columns), random)) for _ in range(repeats)]
        found.append(Worth(name, len(columns), np.array(lost)))
    return sorted(found, key=lambda one: -one.mean)


def strongest(score: Score, rows: Rows, names: Sequence[str], used: Sequence[int], most: int, seed: int) -> list[Worth]:
    """The `most` features that are worth most, found by one repeat and measured by others, so that none is there by luck."""
    looked = worth(score, rows, {names[column]: [column] for column in used}, seed, repeats=1)[:most]
    place = {name: column for column, name in enumerate(names)}
    return worth(score, rows, {one.name: [place[one.name]] for one in looked}, seed + 1)


def plot(found: Sequence[Worth], title: str) -> Figure:
    """A bar each, first on top, with the lowest and highest of the repeats."""
    figure, (axes,) = plots.panels(1, 1, height=1.5 + 0.34 * len(found))
    rows, means = np.arange(len(found)), np.array([one.mean for one in found])
    sides = [means - [one.lost.min() for one in found], [one.lost.max() for one in found] - means]
    axes.barh(rows, means, xerr=sides, color=plots.GENUINE, ecolor=plots.SYSTEM, capsize=2)
    axes.axvline(0, color=plots.SYSTEM, linewidth=0.8)
    axes.set_yticks(rows, ["\n".join(wrap(one.name.replace("_", " "), LINE)) for one in found], fontsize=8)
    axes.set(
        ylim=(len(found) - 0.4, -0.6), xlabel="average precision lost (lines: lowest to highest of the repeats)", title=title
    )
    axes.grid(axis="x", alpha=0.3)
    return figure


def _ap(score: Score, rows: Rows, matrix: Matrix) -> float:
    return float(average_precision_score(rows.labels, score(matrix), sample_weight=rows.weights))


def _exchanged(rows: Rows, columns: list[int], random: np.random.Generator) -> Matrix:
    """The values of some columns, those of one operation together, given to another.

    Whose they are is drawn by weight: a sample has more frauds than there are, and genuine operations would be given theirs too often.
    """
    givers = random.choice(len(rows.matrix), len(rows.matrix), p=rows.weights / rows.weights.sum())
    exchanged = rows.matrix.copy()
    exchanged[:, columns] = rows.matrix[givers][:, columns]
    return exchanged
