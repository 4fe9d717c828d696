"""Whether an id is surely new, so that the database need not be asked: the filter of recorded ids, kept up as the ledger grows."""

import asyncio
from collections.abc import Iterable

from casework.ledger import Ledger
from casework.seen import LEAST_IDS, Seen


class NewIds:
    """One for a process that adds to a ledger, used in its event loop. Until the ledger was read nothing is surely new."""

    def __init__(self) -> None:
        self._seen: Seen | None = None
        self._meanwhile: list[bytes] | None = []

    def has(self, hash_: bytes) -> bool:
        """True: the id of this hash was never recorded. False: look it up."""
        return self._seen is not None and not self._seen.may_have(hash_)

    def recorded(self, hash_: bytes) -> None:
        """An id was recorded, or is on its way to the disk."""
        if self._seen is not None:
            self._seen.add(hash_)
        if self._meanwhile is not None:
            self._meanwhile.append(hash_)

    @property
    def is_due(self) -> bool:
        """Whether `read` has something to do: at the beginning, and when the filter is full."""
        return self._seen is None or len(self._seen) > self._seen.capacity

    async def read(self, ledger: Ledger, pending: Iterable[bytes]) -> None:
        """Read the ids of a ledger, off the event loop; pending: those that are on their way to it. LedgerError as the ledger has it."""
        self._meanwhile = list(pending)
        try:
            seen = await asyncio.to_thread(_of, ledger)
            for hash_ in self._meanwhile:
                seen.add(hash_)
            self._seen = seen
        finally:
            self._meanwhile = [] if self._seen is None else None


def _of(ledger: Ledger) -> Seen:
    seen = Seen(max(LEAST_IDS, 2 * ledger.last_sequence))
    for hashes in ledger.hashes():
        seen.add_many(hashes)
    return seen
