"""How long each stage of an operation takes, and whether there is time left for the next one."""

from bisect import bisect_left
from collections.abc import Generator, Iterator
from enum import StrEnum
from time import perf_counter
from typing import TypeVar

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

BOUNDS_S = (0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)

ResultT = TypeVar("ResultT")
Steps = Generator[None, None, ResultT]
"""What an operation goes through, with a rest after each step in which others take theirs; ResultT: what it comes to."""


class Stage(StrEnum):
    """What an operation goes through, in order. From FEATURES to REASONS a stage is left out when the time has run out before it.

    READING: body, normal form, whether it was seen before, registry; WRITING: from the decision until it is durable. Of operations
    that are scored together the first bears the time of all.
    """

    READING = "reading"
    FEATURES = "features"
    SCORE = "score"
    RULES = "rules"
    REASONS = "reasons"
    WRITING = "writing"


class Timing:
    """The time of one operation. Begin it when the body is whole."""

    __slots__ = ("_began", "_ends", "_rests_since", "_stage", "_times", "began")

    def __init__(self, times: "StageTimes", deadline_s: float) -> None:
        self._times, self._stage = times, Stage.READING
        self.began = self._began = perf_counter()
        self._ends = self._began + deadline_s
        self._rests_since = self._began

    def rest(self) -> None:
        """Let others take their steps: until `go_on` the time is theirs."""
        self._rests_since = perf_counter()

    def go_on(self) -> None:
        """Its own time begins again."""
        rested = perf_counter() - self._rests_since
        self._began += rested
        self._ends += rested

    def late(self, stage: Stage) -> Stage | None:
        """A stage begins now, so the one before has ended; the stage itself where the time has run out before it."""
        now = perf_counter()
        self._times.took(self._stage, now - self._began)
        self._stage, self._began = stage, now
        return stage if now > self._ends else None

    def done(self) -> float:
        """The last stage has ended; seconds since the beginning."""
        now = perf_counter()
        self._times.took(self._stage, now - self._began)
        return now - self.began


def resting(steps: Steps[ResultT], timing: Timing) -> Steps[ResultT]:
    """Go on with the steps of an operation; before each of them others take theirs. What the steps come to."""
    while True:
        timing.rest()
        yield
        timing.go_on()
        try:
            next(steps)
        except StopIteration as ended:
            result: ResultT = ended.value
            return result


class StageTimes(Collector):
    """Counts of times by stage. prometheus-client's own histogram costs a microsecond a stage, this one a fifth of it."""

    def __init__(self) -> None:
        self._counts = {stage: [0] * (len(BOUNDS_S) + 1) for stage in Stage}
        self._sums = dict.fromkeys(Stage, 0.0)

    def took(self, stage: Stage, seconds: float) -> None:
        """Count the time of one stage."""
        self._counts[stage][bisect_left(BOUNDS_S, seconds)] += 1
        self._sums[stage] += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """As Prometheus reads it."""
        family = HistogramMetricFamily("burana_stage_seconds", "Time of an operation by stage", labels=["stage"])
        for stage, counts in self._counts.items():
            buckets, below = [], 0
            for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), counts, strict=True):
                below += count
                buckets.append((bound, below))
            family.add_metric([stage.value], buckets, self._sums[stage])
        yield family
