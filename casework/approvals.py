"""What may be proposed, and what its approval does: the one list of the kinds of proposals."""

from casework import proposals, registry_candidates, registry_entries, registry_feeds, registry_import, rule_sets
from casework.database import Database
from casework.proposals import Apply, Ruling

KINDS: dict[str, Apply] = {
    registry_entries.REMOVAL: registry_entries.apply_removal,
    registry_import.KIND: registry_import.apply_import,
    registry_candidates.KIND: registry_candidates.apply_entry,
    registry_feeds.KIND: registry_feeds.apply_feed,
    rule_sets.KIND: rule_sets.apply,
}
"""By kind, the function that does it."""


def decide(database: Database, proposal_id: int, verdict: Ruling, person: str, reason: str) -> None:
    """Approve or refuse a proposal of any kind, see `proposals.decide`."""
    proposals.decide(database, proposal_id, verdict, person, reason, KINDS)
