"""Plots of a training run: what the trees split on, how frauds rank, whether probabilities hold, where the thresholds lie."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve

from training.figures import reliability
from training.pipeline import Fitted
from training.plots import FRAUD, GENUINE, SYSTEM
from training.thresholds import Argument

STRONGEST = 25
_FOOT = 1e-5
"""The least score and share of fraud that the plot of calibration shows."""


def save(folder: Path, fitted: Fitted) -> None:
    """Every plot of a run as a PNG file in `folder`."""
    plots = {"gain": gain(fitted), "precision_recall": ranking(fitted), "calibration": calibration(fitted),
             "thresholds": thresholds(fitted.argument)}  # fmt: skip
    for name, figure in plots.items():
        figure.savefig(folder / f"{name}.png")


def gain(fitted: Fitted) -> Figure:
    """The features that the trees gained most by."""
    gains = fitted.booster.feature_importance("gain")
    top = np.argsort(gains)[-STRONGEST:]
    figure = Figure(figsize=(11, 7))
    axes = figure.subplots(gridspec_kw={"left": 0.5, "right": 0.97, "top": 0.94, "bottom": 0.08})
    axes.barh([fitted.booster.feature_name()[i] for i in top], gains[top] / gains.sum(), color=GENUINE)
    axes.set(title=f"Share of the gain, {STRONGEST} strongest features", xlabel="share")
    return figure


def ranking(fitted: Fitted) -> Figure:
    """Precision at every recall on the later operations."""
    precision, recall, _ = precision_recall_curve(fitted.later.labels, fitted.later_scores)
    figure = Figure(figsize=(6, 5))
    axes = figure.subplots()
    axes.step(recall, precision, color=FRAUD)
    axes.set(title="Later operations", xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    return figure


def calibration(fitted: Fitted) -> Figure:
    """Share of fraud against mean score, in bins of equal width on a logarithmic scale; on the line, probabilities hold.

    A bin without a fraud has no place on the scale: it stands at its foot.
    """
    bins = reliability(fitted.later.labels, fitted.later_scores)
    with_fraud, without = [part for part in bins if part.fraud_share], [part for part in bins if not part.fraud_share]
    figure = Figure(figsize=(6, 5))
    axes = figure.subplots()
    axes.plot([_FOOT, 1], [_FOOT, 1], ":", color=SYSTEM)
    axes.plot([part.mean_score for part in with_fraud], [part.fraud_share for part in with_fraud], "o-", color=FRAUD)
    if without:
        scores = [max(part.mean_score, _FOOT) for part in without]
        axes.plot(scores, [_FOOT] * len(scores), "v", color=GENUINE, label="no fraud in the bin", clip_on=False)
        axes.legend()
    axes.set(
        title="Calibration on later operations", xlabel="mean score", ylabel="share of fraud", xscale="log", yscale="log"
    )
    axes.minorticks_off()
    return figure


def thresholds(argument: Argument) -> Figure:
    """Recall, share of the money and precision for every number of stopped operations a day; the chosen ones as lines."""
    curve = argument.curve
    stopped = [point.stopped_per_day for point in curve]
    figure = Figure(figsize=(9, 5))
    axes = figure.subplots()
    for name, colour, words in (
        ("recall", FRAUD, "recall"),
        ("value_recall", GENUINE, "share of the money"),
        ("precision", SYSTEM, "precision"),
    ):
        axes.plot(stopped, [getattr(point, name) for point in curve], color=colour, label=words)
    rejected = argument.chosen.rejected_per_day
    for words, at in (("high", rejected), ("medium", rejected + argument.chosen.verified_per_day)):
        if at:
            axes.axvline(at, linestyle=":", color=SYSTEM)
            axes.annotate(words, (at, 1.02), ha="center", annotation_clip=False)
    axes.set(xscale="log", xlabel="operations stopped a day (logarithmic)", ylabel="share", ylim=(0, 1))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.set_title("What stopping from each score on would have done to the later operations", pad=18)
    axes.legend(frameon=False)
    return figure
