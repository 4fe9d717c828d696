"""Beside the way of an operation: follows the ledger, and proposes the entries that high-risk decisions speak for.

Another thread reads what was decided since its last turn. A rule that the operator has declared to list (`listing_rules`) confirms at
once what it spoke for; a score alone confirms nothing, whatever its height.
"""

from casework import registry_candidates
from casework.database import Database
from casework.ledger import Ledger
from domain.levels import RiskLevel

BATCH = 10_000
"""Entries of the ledger looked at in one turn."""
HIGH = f'"level":"{RiskLevel.HIGH.word}"'.encode()
"""As an answer says it."""
MOST_BEHIND = 200_000
"""Entries that are gone back for after a stop."""


class Candidates:
    """One for a process. `turn` is called time and again from another thread."""

    def __init__(self, database: Database, listing_rules: frozenset[str]) -> None:
        """listing_rules: ids of the rules whose word is enough."""
        self._database, self._ledger, self._listing_rules = database, Ledger(database), listing_rules
        self._looked_to: int | None = None
        self._known: set[tuple[str, str]] = set()
        self._known_to = 0

    def turn(self) -> int:
        """Propose what was decided since the last turn; how many entries."""
        last = self._ledger.last_sequence
        if self._looked_to is None:
            self._looked_to = max(registry_candidates.last_proposed(self._database) - 1, last - MOST_BEHIND)
        up_to = min(last, self._looked_to + BATCH)
        if up_to <= self._looked_to:
            return 0
        proposed, self._known_to = registry_candidates.proposed_after(self._database, self._known_to)
        self._known |= proposed  # also by another process, while that one held the ledger
        high = self._ledger.answered(HIGH, self._looked_to, up_to)
        made = registry_candidates.propose_from(self._database, high, self._known, self._listing_rules)
        self._looked_to = up_to
        return made
