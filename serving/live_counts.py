"""What a server saw of the features in its last hours: bin counts, from which PSI is read."""

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime

import numpy as np

from domain import instants
from domain.instants import HOUR
from features.bins import Counts, Reference
from features.stability import Finding, findings

HOURS = 24
MOST_WAITING = 16_384
"""Vectors that may wait to be counted; at 219 features each that is 27 MiB at most."""
BATCH = 256
"""Vectors counted at once: so few that the thread that answers callers never waits long for this one."""


class LiveCounts:
    """Bin counts of the vectors of the running hour and the 23 before it, since the process started.

    `take` is called for each operation and only appends; `count` does the work and is called from another thread, time and
    again. A vector belongs to the hour in which it is counted.
    """

    def __init__(self, reference: Reference, clock: Callable[[], datetime], dropped: Callable[[], None]) -> None:
        """dropped: called for each vector that is not counted because too many wait."""
        self.reference, self._clock, self._dropped = reference, clock, dropped
        self._waiting: deque[tuple[bytes, float | None]] = deque()
        self._hours: dict[int, Counts] = {}
        self._counting = threading.Lock()

    def take(self, vector: bytes, score: float | None) -> None:
        """Let a vector (little-endian float64, in the reference's order) and its score be counted."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append((vector, score))
        else:
            self._dropped()

    def count(self) -> None:
        """Count what waits."""
        with self._counting:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                matrix = np.frombuffer(b"".join(vector for vector, _ in batch), "<f8").reshape(len(batch), -1)
                counts = self.reference.count(matrix, np.array([score for _, score in batch], np.float64))
                hour = self._hour()
                self._hours[hour] = self._hours.get(hour, 0) + counts
            self._forget()

    def findings(self) -> tuple[list[Finding], int]:
        """What the vectors of these hours show, and how many they are; what waits is counted first."""
        self.count()
        with self._counting:
            hour = self._hour()
            counts = sum(self._hours.values(), np.zeros_like(self.reference.counts))
            since = min(self._hours, default=hour)
        return findings(self.reference, counts, hour - since + 1), int(counts[-1].sum())

    def _forget(self) -> None:
        for old in [at for at in self._hours if at <= self._hour() - HOURS]:
            del self._hours[old]

    def _hour(self) -> int:
        return instants.to_ms(self._clock()) // HOUR
