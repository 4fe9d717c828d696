"""A bounded search for better ways of growing trees, kept in a file, so that it goes on where it was interrupted (Optuna)."""

import itertools
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from domain.errors import SettingsError
from domain.file_lock import held
from training.boosting import Boosting, grow
from training.dataset import Dataset
from training.figures import ap

if TYPE_CHECKING:
    import optuna

Pair = tuple[Dataset, Dataset]
"""Operations to grow on, and later ones to be measured on."""
BLOCKS, BLOCK = 3, 0.15
"""A training span is searched over so many forward blocks, each such a share of it."""


@dataclass(frozen=True)
class SearchSettings:
    """How long to search: so many trials in all, those of earlier runs included, and seconds for this run; file: keeps the trials."""

    trials: int
    seconds: float
    file: Path

    def __post_init__(self) -> None:
        if not (1 <= self.trials <= 10_000 and self.seconds > 0):
            raise SettingsError(f"seen {self.trials} trials in {self.seconds} s, allowed 1 to 10,000 trials, more than 0 s")


@dataclass(frozen=True)
class Found:
    """The best of the trials. trials: how many are finished; average_precision: mean over the pairs, of the best and of the start."""

    boosting: Boosting
    trials: int
    average_precision: float
    average_precision_at_start: float


def search(
    pairs: Sequence[Pair], names: tuple[str, ...], start: Boosting, seed: int, settings: SearchSettings, key: str
) -> Found:
    """The growing that ranks later frauds best, mean over the pairs; `start` is the first trial and stands unless it is beaten.

    key: names what is searched (data, declarations, span, seed): the trials of another key are not looked at. Trials are the same however
    often the search was interrupted; which of them are done depends on the time that it was given.
    """
    import optuna  # noqa: PLC0415 it takes half a second, and few runs search

    if start.l2 == 0:
        raise SettingsError(
            "l2: seen 0, allowed above 0 where a search (--trials) starts from it: it is tried by its logarithm"
        )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with held(settings.file.with_name(f"{settings.file.name}.lock")) as is_alone, warnings.catch_warnings():
        if not is_alone:  # it would take the trial under way for one that was interrupted
            raise SettingsError(f"{settings.file}: another search goes on in it; wait for it, or name another --search-file")
        warnings.simplefilter("ignore")  # experimental parts of Optuna's storage say so
        study = optuna.create_study(
            storage=f"sqlite:///{settings.file.absolute()}", study_name=key, direction="maximize", load_if_exists=True
        )
        _fail_interrupted(study)
        _try_until(study, pairs, names, start, seed, settings)
    finished = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    best = max(finished, key=lambda trial: (trial.value or 0, -trial.number))
    return Found(_boosting(best.params, start), len(finished), best.value or 0, finished[0].value or 0)


def forward_blocks(dataset: Dataset) -> list[Pair]:
    """The last blocks of a training span in time, each after all that is before it; those without both kinds are left out."""
    ordered = np.sort(dataset.times)
    edges = [int(ordered[int(len(dataset) * (1 - BLOCK * number))]) for number in range(BLOCKS, 0, -1)] + [2**62]
    pairs = [(dataset.slice(0, low), dataset.slice(low, high)) for low, high in itertools.pairwise(edges)]
    return [pair for pair in pairs if all(0 < part.labels.sum() < len(part) for part in pair)]


def _try_until(
    study: "optuna.Study",
    pairs: Sequence[Pair],
    names: tuple[str, ...],
    start: Boosting,
    seed: int,
    settings: SearchSettings,
) -> None:
    import optuna  # noqa: PLC0415

    until = time.monotonic() + settings.seconds
    complete = len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE]))
    with tqdm(total=settings.trials, initial=complete, desc="search", unit="trial", delay=2) as progress:
        while complete < settings.trials and (complete == 0 or time.monotonic() < until):
            study.sampler = optuna.samplers.TPESampler(seed=seed + complete, n_startup_trials=8)
            if complete == 0:
                _enqueue(study, start)
            trial = study.ask()
            study.tell(trial, _measure(_asked(trial, start), pairs, names, seed))
            complete += 1
            progress.update()


def _enqueue(study: "optuna.Study", start: Boosting) -> None:
    """Let the start be the next trial; one that was interrupted, and so failed, comes again."""
    import optuna  # noqa: PLC0415

    if not study.get_trials(states=[optuna.trial.TrialState.WAITING]):
        study.enqueue_trial(_as_trial(start))


def _measure(boosting: Boosting, pairs: Sequence[Pair], names: tuple[str, ...], seed: int) -> float:
    boosters = [(grow(earlier, names, boosting, seed, later), later) for earlier, later in pairs]
    return float(np.mean([ap(later.labels, np.asarray(booster.predict(later.matrix))) for booster, later in boosters]))


def _asked(trial: "optuna.Trial", start: Boosting) -> Boosting:
    """What to try next. Trees are not searched, growing stops by itself; nor bins, of which more cost time and harm nothing."""
    trial.suggest_float("learning_rate", 0.02, 0.1, log=True)
    trial.suggest_int("leaves", 7, 63, log=True)
    trial.suggest_int("leaf_operations", 10, 400, log=True)
    trial.suggest_float("feature_share", 0.1, 0.9)
    trial.suggest_float("row_share", 0.4, 1)
    trial.suggest_float("l2", 0.1, 100, log=True)
    trial.suggest_float("fraud_weight", 1, 30, log=True)
    return _boosting(trial.params, start)


def _as_trial(boosting: Boosting) -> dict[str, float]:
    return {name: value for name, value in boosting.figures().items() if name not in {"trees", "bins"}}


def _boosting(parameters: dict[str, float], start: Boosting) -> Boosting:
    return replace(start, **parameters)  # type: ignore[arg-type] # by name, as suggested


def _fail_interrupted(study: "optuna.Study") -> None:
    """A trial that was running when an earlier search was cut off counts as failed."""
    import optuna  # noqa: PLC0415

    for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
