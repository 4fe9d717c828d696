"""Whether a challenger becomes champion: both score the same recent history, and a rule that is stated decides.

The rule: a challenger is refused when it is worse beyond chance, in average precision or in recall at the budget, over all
operations; or when, of one kind or scheme with enough frauds, it finds less by more than the stated loss, beyond chance.
"Beyond chance": the paired interval of the difference lies wholly below zero.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from tqdm import tqdm

from domain.errors import SettingsError
from features import history as histories
from features.feature_set import FeatureSet
from training.comparison import AP, AT_BUDGET, Comparison, Scored, Slice, compare
from training.dataset import Dataset, check_told, known_by, labelled
from training.released import Released

ENOUGH_FRAUDS = 50
"""Frauds of a kind or scheme from which on it may speak against a challenger."""
MOST_LOST = 0.05
"""Of these frauds, the share that a challenger may find less."""
ROWS = 65_536


@dataclass(frozen=True)
class Span:
    """The recent history that both are compared on.

    start, end: operations with start <= occurred_at < end; as_of: outcomes known by then are labels, by default all that there
    are; delay: how long until silence counts as legitimate.
    """

    start: datetime
    end: datetime | None = None
    as_of: datetime | None = None
    delay: timedelta = timedelta(days=7)


def scored(bundle: Released, dataset: Dataset) -> Scored:
    """A bundle's scores of a dataset's vectors, which may have more columns than it reads."""
    parts = tqdm(range(0, len(dataset), ROWS), desc=bundle.manifest.version, delay=2, leave=False)
    width = len(bundle.features)
    scores = [bundle.model.score(np.ascontiguousarray(dataset.matrix[at : at + ROWS, :width])) for at in parts]
    return Scored(bundle.manifest, np.concatenate(scores))


def compared(history: Path, champion: Released, challenger: Released, span: Span, resamples: int) -> Comparison:
    """Both on the same history: the matrix is computed once. SettingsError where the challenger was trained on the span."""
    trained_to = challenger.manifest.trained_to
    if trained_to is not None and span.start < trained_to:
        raise SettingsError(
            f"--from {span.start:%Y-%m-%d %H:%M}: {challenger.manifest.version} was trained on operations up to "
            f"{trained_to:%Y-%m-%d %H:%M} and would be measured on what it has seen; compare on later ones, or train it up to --from"
        )
    features = max(champion.features, challenger.features, key=len)
    dataset = recent(histories.read(history), features, span)
    both = scored(champion, dataset), scored(challenger, dataset)
    return compare(replace(dataset, matrix=np.empty((len(dataset), 0))), *both, resamples)


def caution(champion: Released, span: Span) -> str | None:
    """What makes the comparison too good for the champion, in words; nothing where it is fair."""
    trained_to = champion.manifest.trained_to
    if trained_to is None or trained_to <= span.start:
        return None
    return f"the champion was trained on operations up to {trained_to:%Y-%m-%d %H:%M}: its figures flatter it"


def recent(history: histories.History, features: FeatureSet, span: Span) -> Dataset:
    """The labelled operations of a span with all that became known of them."""
    check_told(history, span.as_of)
    as_of = span.as_of or known_by(history.operations, history.outcomes)
    return labelled(history, features, span.start, span.end, as_of, span.delay)


def objections(comparison: Comparison) -> tuple[str, ...]:
    """Why the rule refuses the challenger, in words; nothing where it does not."""
    found = []
    for name in (AP, AT_BUDGET):
        figures = comparison.figures[name]
        if figures.difference_interval.high < 0:
            found.append(f"{name} {figures.challenger:.4f} against {figures.champion:.4f}: worse beyond chance")
    if (worst := worst_slice(comparison)) is not None and _loses(worst):
        recall = worst.recall
        found.append(
            f"{worst.name}: of {worst.frauds} frauds it finds {recall.challenger:.1%} against {recall.champion:.1%} at the "
            f"budget, a loss of more than {MOST_LOST:.0%} beyond chance"
        )
    return tuple(found)


def worst_slice(comparison: Comparison) -> Slice | None:
    """Of the kinds and schemes with enough frauds, the one that loses most; those that lose beyond chance come first."""
    enough = [one for one in comparison.slices if one.frauds >= ENOUGH_FRAUDS]
    return min(enough, key=lambda one: (not _loses(one), one.recall.difference), default=None)


def _loses(one: Slice) -> bool:
    return one.recall.difference < -MOST_LOST and one.recall.difference_interval.high < 0
