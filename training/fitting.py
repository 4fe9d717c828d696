"""Labelled operations -> a model that scores and stops: the one place where evaluation meets training."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.levels import Thresholds
from training import parity, thresholds
from training.dataset import Dataset
from training.export import INPUT, SCORE, to_onnx
from training.train import TrainSettings, calibrate, grow, split

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """score: (n, features) -> (n,) probabilities; thresholds: frozen with the model, None where it has none; argument: why these."""

    score: Callable[[Matrix], NDArray[np.float64]]
    thresholds: Thresholds | None = None
    argument: str = ""


def fit(dataset: Dataset, names: tuple[str, ...], settings: TrainSettings) -> Fitted:
    """The model that `burana train` would make of these operations: calibration and thresholds are of their last part."""
    growing, stopping, later = split(dataset, settings)
    booster = grow(growing, stopping, names, settings)
    calibrator = calibrate(np.asarray(booster.predict(later.matrix, raw_score=True)), later.labels)
    score = scorer(to_onnx(booster, calibrator).SerializeToString())
    chosen, argument = thresholds.choose(score(later.matrix), later.labels, settings.capacity)
    return Fitted(score, chosen, argument)


def scorer(content: bytes) -> Callable[[Matrix], NDArray[np.float64]]:
    """Scores by an ONNX graph, as the endpoint gives them."""
    session = parity.session(content)
    return lambda matrix: np.asarray(session.run([SCORE], {INPUT: matrix})[0][:, 0])
