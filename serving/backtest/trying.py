"""One trial from beginning to end: recorded operations in, arrays out."""

from dataclasses import replace

import numpy as np

from features.labels import settled
from serving.backtest.asking import Answers, Trial, asked
from serving.backtest.heard import Heard, Integers, Levels
from serving.backtest.recorded import Recorded, Source


def heard(source: Source, trial: Trial, delay: int, period: tuple[int, int], workers: int) -> Heard:
    """Everything that the rules on trial say of the operations of a source, and what these turned out to be.

    delay: ms until silence counts as genuine; period: ms, of the operations; its days are those that it shares with what is there.
    """
    chunks: list[Recorded] = []
    answers: list[Answers] = []
    for chunk, answer in asked(source, trial, workers):
        chunks.append(_slim(chunk))
        answers.append(answer)
    starts = np.cumsum([0, *map(len, chunks)])[:-1]
    times = np.concatenate([chunk.times for chunk in chunks])
    recorded = np.concatenate([chunk.recorded for chunk in chunks])
    labels = settled(source.verdicts(), times, recorded > 0, source.as_of, delay)
    return Heard(
        times=times, amounts=np.concatenate([chunk.amounts for chunk in chunks]),
        customers=np.concatenate([chunk.customers for chunk in chunks]), kinds=np.concatenate([chunk.kinds for chunk in chunks]),
        labels=labels, recorded=recorded, without_rules=_levels(answers),
        start=max(period[0], int(times.min())), end=min(period[1], source.as_of), rules=trial.rules,
        hits=tuple(_joined([one.hits[i] for one in answers], starts) for i in range(len(trial.rules))),
        failed=tuple(_joined([one.failed[i] for one in answers], starts) for i in range(len(trial.rules))),
        acted=_acted(chunks, starts), listed=_joined([one.listed for one in answers], starts),
    )  # fmt: skip


def _slim(chunk: Recorded) -> Recorded:
    """Without what was only needed to ask."""
    return replace(chunk, records=[], vectors=np.empty((0, 0)), hits={})


def _levels(answers: list[Answers]) -> Levels:
    return np.concatenate([one.without_rules for one in answers])


def _joined(places: list[Integers], starts: Integers) -> Integers:
    """Places within chunks as places among all."""
    return np.concatenate([some + start for some, start in zip(places, starts, strict=True)]).astype(np.int64)


def _acted(chunks: list[Recorded], starts: Integers) -> dict[str, Integers]:
    names = sorted({name for chunk in chunks for name in chunk.acted})
    empty: list[int] = []
    return {name: _joined([np.array(chunk.acted.get(name, empty), np.int64) for chunk in chunks], starts) for name in names}
