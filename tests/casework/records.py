"""Entries for the tests of casework: small, and no operations of anybody."""

from casework.ledger import Entry


def entry(sequence: int, **changes: object) -> Entry:
    """A ledger entry whose id follows from its sequence number."""
    row = sequence.to_bytes(8, "little") * 18
    made = Entry(
        sequence, "operation", f"op-{sequence}", "2025-06-02T04:00:00.000000+00:00", b"{}", row, 1, b'{"level":"low"}'
    )
    return made._replace(**changes)
