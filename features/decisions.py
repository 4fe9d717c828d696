"""What was decided of the operations of a history: the optional fourth file, `decisions.parquet`, of an operator's own ledger."""

import pyarrow as pa

FILE = "decisions"
DECISIONS = pa.schema(
    [
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("operation_id", pa.string(), nullable=False),
        pa.field("level", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("score", pa.float64()),
        pa.field("asked", pa.list_(pa.string()), nullable=False),
        pa.field("would_be", pa.string(), nullable=False),
        pa.field("propensity", pa.float64(), nullable=False),
        pa.field("model", pa.string()),
    ]
)
"""One row for each operation that was decided, in order of arrival; those that came into a ledger with a history have none.

sequence, operation_id: of the operation; level, action: as answered; score: null without a model; asked: the layers that asked
for more than low (`registry`, `score`, `rules` ...), none of an operation that nothing spoke against; would_be: the level
without the lot of the control share; propensity: the probability with which the operation was stopped, 1 where no lot was
drawn and it was, 0 where none was drawn and it passed; model: the version, null for none. Whether a verdict followed, and when, is
in the outcomes.
"""
