"""Recorded operations in, arrays out: with what rules on trial say of them, or with what was recorded alone."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from domain.rules import Rule
from features.labels import settled
from serving.backtest.asking import Answers, Trial, asked
from serving.backtest.heard import Heard, Integers, Voice
from serving.backtest.recorded import Recorded, Source

NONE: Integers = np.empty(0, np.int64)


def heard(source: Source, trial: Trial, delay: int, period: tuple[int, int], workers: int) -> Heard:
    """Everything that the rules on trial say of the operations of a source, and what these turned out to be.

    delay: ms until silence counts as genuine; period: ms, of the operations; its days are those that it shares with what is there.
    """
    chunks: list[Recorded] = []
    answers: list[Answers] = []
    for chunk, answer in asked(source, trial, workers):
        chunks.append(_slim(chunk))
        answers.append(answer)
    starts, rules = _starts(chunks), range(len(trial.rules))
    return replace(
        _told(source, chunks, trial.rules, delay, period),
        without_rules=np.concatenate([one.without_rules for one in answers]),
        hits=tuple(_joined([one.hits[place] for one in answers], starts) for place in rules),
        failed=tuple(_joined([one.failed[place] for one in answers], starts) for place in rules),
        listed=_joined([one.listed for one in answers], starts),
    )


def as_recorded(source: Source, rules: Sequence[Rule], delay: int, period: tuple[int, int]) -> Heard:
    """As `heard`, with no rule asked: nothing fires but what spoke then. rules: of which figures will be made."""
    chunks = [_slim(chunk) for chunk in source.chunks()]
    return _told(source, chunks, tuple(rules), delay, period)


def _told(source: Source, chunks: list[Recorded], rules: tuple[Rule, ...], delay: int, period: tuple[int, int]) -> Heard:
    times, recorded = _all(chunks, "times"), _all(chunks, "recorded")
    return Heard(
        times=times, amounts=_all(chunks, "amounts"), customers=_all(chunks, "customers"), kinds=_all(chunks, "kinds"),
        labels=settled(source.verdicts(), times, recorded > 0, source.as_of, delay), recorded=recorded,
        without_rules=np.maximum(_all(chunks, "others"), _all(chunks, "by_score")),
        start=max(period[0], int(times.min())), end=min(period[1], source.as_of), rules=rules, hits=(NONE,) * len(rules),
        failed=(NONE,) * len(rules), listed=NONE, spoke=_spoke(chunks), policies=_all(chunks, "policies"),
        policy_names=tuple(source.policy_names),
    )  # fmt: skip


def _slim(chunk: Recorded) -> Recorded:
    """Without what was only needed to ask."""
    return replace(chunk, records=[], vectors=np.empty((0, 0)), hits={})


def _all(chunks: list[Recorded], name: str) -> np.ndarray:
    return np.concatenate([getattr(chunk, name) for chunk in chunks])


def _starts(chunks: list[Recorded]) -> Integers:
    """The place of the first operation of each chunk among all."""
    return np.cumsum([0, *map(len, chunks)])[:-1]


def _joined(places: list[Integers], starts: Integers) -> Integers:
    """Places within chunks as places among all."""
    return np.concatenate([NONE, *(some + start for some, start in zip(places, starts, strict=True))]).astype(np.int64)


def _spoke(chunks: list[Recorded]) -> dict[Voice, Integers]:
    """Where each voice spoke, the voices in order."""
    starts, found = _starts(chunks), dict[Voice, list[Integers]]()
    for chunk, start in zip(chunks, starts.tolist(), strict=True):
        for voice, places in chunk.spoke.items():
            found.setdefault(voice, []).append(np.array(places, np.int64) + start)
    return {voice: np.concatenate(found[voice]) for voice in sorted(found, key=str)}
