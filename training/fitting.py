"""What evaluation asks of a model, however it was made: scores, and the thresholds that are frozen with it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.levels import Thresholds
from training import parity, pipeline
from training.dataset import Dataset
from training.export import INPUT, SCORE, to_onnx

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class ScoringModel:
    """score: (n, features) -> (n,) probabilities; thresholds: frozen with the model, None where it has none; argument: why these."""

    score: Callable[[Matrix], NDArray[np.float64]]
    thresholds: Thresholds | None = None
    argument: str = ""


def fit(dataset: Dataset, names: tuple[str, ...], settings: pipeline.FitSettings) -> ScoringModel:
    """The model that `burana train` would make of these operations, scoring by its ONNX graph."""
    fitted = pipeline.fit(dataset, names, settings)
    content = to_onnx(fitted.booster, fitted.calibrator).SerializeToString()
    return ScoringModel(scorer(content), fitted.thresholds, fitted.argument.text)


def scorer(content: bytes) -> Callable[[Matrix], NDArray[np.float64]]:
    """Scores by an ONNX graph, as the endpoint gives them."""
    session = parity.session(content)
    return lambda matrix: np.asarray(session.run([SCORE], {INPUT: matrix})[0][:, 0])
