"""Asking the rules on trial about recorded operations, chunk by chunk, in as many processes as the machine has cores."""

import multiprocessing
import pickle
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from msgspec.structs import replace
from tqdm import tqdm

from casework.registry import Hit
from domain.levels import RiskLevel, Thresholds
from domain.operation import Operation
from domain.rule_text import written
from domain.rules import Rule, State
from serving import basic
from serving.backtest.heard import Integers, Levels
from serving.backtest.listed import LEVEL, Listed
from serving.backtest.recorded import CHUNK, Recorded, Source
from serving.rules import Outcome, Rules

MEDIUM = np.int8(RiskLevel.MEDIUM)


@dataclass(frozen=True)
class Trial:
    """What is tried: every rule, its expression made (`serving.templates.completed`), as if it were live, whatever its state.

    names: the features that vectors hold, in order; thresholds: None for the levels that scores had; listed: identifiers as if they
    had been on a list; limit_tyiyn: where basic checks were not recorded, the amount from which an operation is verified.
    """

    rules: tuple[Rule, ...]
    names: tuple[str, ...]
    thresholds: Thresholds | None = None
    listed: Listed | None = None
    limit_tyiyn: int | None = None


@dataclass(frozen=True)
class Answers:
    """What was said of a chunk: places where each rule fires, where it fails, where a list is met; (n,) levels without rules."""

    hits: tuple[Integers, ...]
    failed: tuple[Integers, ...]
    listed: Integers
    without_rules: Levels


class Asker:
    """Compiled rules, and everything else that is asked."""

    def __init__(self, trial: Trial) -> None:
        self._trial, self._listed = trial, None if trial.listed is None else trial.listed.asking()
        # by number: a rule may be on trial beside its own edited form, under one id
        numbered = [replace(rule, id=f"rule_{i}", state=State.LIVE) for i, rule in enumerate(trial.rules)]
        self._rules = Rules(written(numbered), trial.names)
        self._places = {rule.id: place for place, rule in enumerate(numbered)}

    def answers(self, chunk: Recorded) -> Answers:
        """Every operation of a chunk is shown to every rule."""
        hits: list[list[int]] = [[] for _ in self._places]
        failed: list[list[int]] = [[] for _ in self._places]
        levels, listed = self._levels(chunk), []
        for place, operation in enumerate(chunk.operations()):
            known, more = chunk.hits.get(place, ()), self._more(operation)
            if more:
                listed.append(place)
            outcome = self._outcome(chunk, place, operation, known + more)
            levels[place] = max(levels[place], _of_hits(more), self._of_checks(operation, int(chunk.amounts[place])))
            for rule in outcome.fired:
                hits[self._places[rule.id]].append(place)
            for name, _ in outcome.failed:
                failed[self._places[name]].append(place)
        return Answers(_places(hits), _places(failed), np.array(listed, np.int64), levels)

    def _outcome(self, chunk: Recorded, place: int, operation: Operation, hits: tuple[Hit, ...]) -> Outcome:
        score = float(chunk.scores[place])
        score_or_none = None if np.isnan(score) else score
        return self._rules.evaluate(operation, int(chunk.amounts[place]), chunk.vectors[place], score_or_none, hits)

    def _more(self, operation: Operation) -> tuple[Hit, ...]:
        return () if self._listed is None else self._listed.hits(operation)

    def _of_checks(self, operation: Operation, amount: int) -> int:
        limit = self._trial.limit_tyiyn
        return int(limit is not None and bool(basic.verify(operation, amount, limit)))

    def _levels(self, chunk: Recorded) -> Levels:
        """(n,) what was recorded of other layers, and what the thresholds on trial make of the score."""
        thresholds, by_score = self._trial.thresholds, chunk.by_score
        if thresholds is not None:
            cuts = np.array([thresholds.medium, thresholds.high])
            by_score = np.searchsorted(cuts, np.nan_to_num(chunk.scores, nan=-1.0), side="right").astype(np.int8)
        return np.maximum(chunk.others, by_score)


def _of_hits(hits: tuple[Hit, ...]) -> int:
    return max((LEVEL[hit.list] for hit in hits), default=RiskLevel.LOW)


def _places(lists: list[list[int]]) -> tuple[Integers, ...]:
    return tuple(np.array(places, np.int64) for places in lists)


def asked(source: Source, trial: Trial, workers: int) -> Iterator[tuple[Recorded, Answers]]:
    """Each chunk with what was said of it, in order, while the next ones are made and others are asked.

    workers: processes that ask; up to one chunk of operations is asked in this process, which starts sooner.
    """
    with tqdm(total=source.total, desc="backtest", unit="operation", unit_scale=True, delay=2, mininterval=1) as progress:
        for chunk, answers in _asked(source, trial, workers):
            progress.update(len(chunk))
            yield chunk, answers


def _asked(source: Source, trial: Trial, workers: int) -> Iterator[tuple[Recorded, Answers]]:
    if source.total <= CHUNK:
        asker = Asker(trial)
        yield from ((chunk, asker.answers(chunk)) for chunk in source.chunks())
        return
    pickled, waiting = pickle.dumps(trial), deque[tuple[Recorded, Future[Answers]]]()
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for chunk in source.chunks():
            waiting.append((chunk, pool.submit(_answers, pickled, chunk)))
            if len(waiting) > workers + 1:  # bounded: what is asked is held in memory
                yield _done(*waiting.popleft())
        while waiting:
            yield _done(*waiting.popleft())


def _done(chunk: Recorded, answers: Future[Answers]) -> tuple[Recorded, Answers]:
    return chunk, answers.result()


def _answers(trial: bytes, chunk: Recorded) -> Answers:
    """What a process of the pool does; the rules are compiled with the first chunk."""
    return _asker(trial).answers(chunk)


@lru_cache(maxsize=1)
def _asker(trial: bytes) -> Asker:
    return Asker(pickle.loads(trial))  # noqa: S301 by this program, for this program
