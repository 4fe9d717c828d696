"""Rule sets put in force as two people do it."""

from casework import approvals, rule_sets
from casework.database import Database
from casework.proposals import Ruling


def put_in_force(database: Database, content: str, reason: str = "as the tests need it") -> str:
    """Propose a set as one person and approve it as another; its version."""
    made = rule_sets.propose(database, content, "Aigul of the tests", reason)
    approvals.decide(database, made, Ruling.APPROVED, "Bakyt of the tests", "I looked")
    in_force = rule_sets.live(database)
    assert in_force is not None
    return in_force.version
