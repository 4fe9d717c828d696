"""The 15 features of the Fraud Detection Handbook (ch. 3), for baselines alone: no model that serves is made of them."""

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from domain.events import Verdict
from features.arrivals import customer_keys

WINDOWS = (1, 7, 30)
DELAY_DAYS = 7
"""The book's terminals are judged by what was known of them 7 days ago."""
NAMES = (
    "amount", "weekend", "night",
    *(f"customer_{what}_{days}d" for days in WINDOWS for what in ("count", "mean_amount")),
    *(f"recipient_{what}_{days}d" for days in WINDOWS for what in ("count", "fraud_share")),
)  # fmt: skip


def book_matrix(operations: pa.Table, outcomes: pa.Table) -> NDArray[np.float64]:
    """The matrix (n, 15) float64 of a table of operations that rises in time, columns as in NAMES.

    A customer's windows end with the operation itself, a recipient's 7 days earlier. Fraud counts where it
    was known within those 7 days.
    """
    frame = _frame(operations, outcomes)
    of_customer = [_customer(days) for days in WINDOWS]
    of_recipient = [_recipient(days) for days in WINDOWS]
    features = frame.select(
        "amount",
        weekend=(pl.col("at").dt.weekday() >= 6).cast(pl.Float64),
        night=(pl.col("at").dt.hour() <= 6).cast(pl.Float64),
        **{name: column for part in (*of_customer, *of_recipient) for name, column in part.items()},
    )
    return features.select(NAMES).to_numpy().astype(np.float64)


def _frame(operations: pa.Table, outcomes: pa.Table) -> pl.DataFrame:
    """at, amount (major units), customer, recipient, is_fraud (1.0 where the last word in time said so), in the table's order."""
    frame = _polars(operations.select(["operation_id", "occurred_at", "amount_minor"])).with_columns(
        customer=pl.Series(customer_keys(operations, "sender")),
        recipient=pl.Series(customer_keys(operations, "recipient")),
    )
    times = frame.select("operation_id", "occurred_at")
    told = _polars(outcomes.select(["operation_id", "verdict", "known_at"])).join(
        times, on="operation_id", maintain_order="left"
    )
    # what is said later, be it that a fraud was none, nobody knew on the day
    in_time = told.filter(pl.col("known_at") <= pl.col("occurred_at") + pl.duration(days=DELAY_DAYS))
    last = in_time.select("operation_id", "verdict").group_by("operation_id").last()
    frame = frame.join(last, on="operation_id", how="left", maintain_order="left")
    return frame.select(
        at="occurred_at",
        amount=pl.col("amount_minor") / 100,
        customer="customer",
        recipient="recipient",
        one=pl.lit(1.0),
        is_fraud=(pl.col("verdict") == Verdict.FRAUD.value).fill_null(False).cast(pl.Float64),
    )


def _customer(days: int) -> dict[str, pl.Expr]:
    return {
        f"customer_count_{days}d": _sum("one", days, "customer"),
        f"customer_mean_amount_{days}d": _sum("amount", days, "customer") / _sum("one", days, "customer"),
    }


def _recipient(days: int) -> dict[str, pl.Expr]:
    count, frauds = (
        _sum(what, DELAY_DAYS + days, "recipient") - _sum(what, DELAY_DAYS, "recipient") for what in ("one", "is_fraud")
    )
    return {
        f"recipient_count_{days}d": count,
        f"recipient_fraud_share_{days}d": pl.when(count > 0).then(frauds / count).otherwise(0.0),
    }


def _sum(column: str, days: int, entity: str) -> pl.Expr:
    """Over (t - days, t] of the entity."""
    return pl.col(column).rolling_sum_by("at", window_size=f"{days}d").over(entity)


def _polars(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
