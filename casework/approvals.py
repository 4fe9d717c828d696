"""What may be proposed, and what its approval does: the one place that lists the kinds of proposals."""

from casework import proposals, registry_candidates, registry_entries, registry_feeds, registry_import, rule_sets
from casework.database import Database
from casework.proposals import Apply, Ruling

KINDS: dict[str, Apply] = {
    registry_entries.REMOVAL: registry_entries.apply_removal,
    registry_candidates.KIND: registry_candidates.apply_entry,
    registry_feeds.KIND: registry_feeds.apply_feed,
    rule_sets.KIND: rule_sets.apply,
}
"""By kind, the function that does it."""
PREPARED = {registry_import.KIND: registry_import.prepared}
"""By kind, what makes that function before the database is held for the change."""
NAMES = tuple(sorted(KINDS.keys() | PREPARED.keys()))


def decide(database: Database, proposal_id: int, verdict: Ruling, person: str, reason: str) -> None:
    """Approve or refuse a proposal of any kind, see `proposals.decide`."""
    kinds, proposal = KINDS, proposals.of_id(database, proposal_id)
    if verdict is Ruling.APPROVED and proposal is not None and proposal.verdict is None and proposal.kind in PREPARED:
        kinds = {**KINDS, proposal.kind: PREPARED[proposal.kind](database, proposal)}
    proposals.decide(database, proposal_id, verdict, person, reason, kinds)
