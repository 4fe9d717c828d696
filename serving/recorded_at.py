"""When a record was recorded: by the machine's clock, but never before the record before it, whatever that clock does.

The ledger is searched by this moment (`Ledger.last_before`), so it must rise with the sequence. After a step back records carry
the last moment until the clock has passed it again.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from casework.database import as_kept
from domain.instants import EPOCH

log = logging.getLogger("burana")
_NOTHING, _SECOND = timedelta(), timedelta(seconds=1)
_FRACTION = len("2018-08-08T12:00:00.")
"""Where the six digits of the fraction stand in what the tables keep."""


class RecordedAt:
    """One for a process that adds to a ledger."""

    def __init__(self, clock: Callable[[], datetime], last: datetime | None, stepped_back: Callable[[], object]) -> None:
        """last: when the ledger's last entry was recorded, None for an empty one; stepped_back: called at each step back."""
        self._clock, self._stepped_back = clock, stepped_back
        self._seen = self._last = clock() if last is None else last
        self._second, self._text = EPOCH, ""

    def now(self) -> str:
        """The moment of the record that comes next, as the tables keep it."""
        seen = self._clock()
        if seen < self._seen:
            self._say(seen)
        self._seen = seen
        self._last = last = max(self._last, seen)
        if not _NOTHING <= last - self._second < _SECOND:  # all but the fraction is written once a second
            self._second = last.replace(microsecond=0)
            self._text = as_kept(self._second)
        return f"{self._text[:_FRACTION]}{last.microsecond:06d}{self._text[_FRACTION + 6 :]}"

    def not_before(self, last: datetime | None) -> None:
        """Go on from what another process has recorded; None for an empty ledger."""
        if last is not None:
            self._last = max(self._last, last)

    def latest(self, now: datetime) -> datetime:
        """Now, or the last record's moment where that is later: what was taken before a step back is no future after it."""
        return max(now, self._last)

    def _say(self, seen: datetime) -> None:
        self._stepped_back()
        log.warning(
            "the clock stepped back by %.3f s; until it has passed %s again, records are recorded at that moment",
            (self._seen - seen).total_seconds(), as_kept(self._last),
        )  # fmt: skip
