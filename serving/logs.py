"""The log of a server: a line for each happening, JSON for machines or words for people; written off the thread that answers.

No line holds an identifier in clear: parties are masked, operations are named by the id that the caller chose, and what PostgreSQL
tells of the row that it refused is left out.
"""

import json
import logging
import logging.handlers
import queue
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TextIO

from domain.decision import Decision
from domain.identifiers import masked_key
from domain.operation import Operation

decisions = logging.getLogger("burana.decisions")
FIELDS = "fields"
"""Under this name a record carries what beside its message is kept of it."""
_DETAIL = re.compile(r"\nDETAIL:.*?(?=\n(?:HINT|CONTEXT|\[SQL):|\n\(Background|\n\n|\Z)", re.DOTALL)
"""Of an error of PostgreSQL: the values of a row."""


class Format(StrEnum):
    """How a line looks."""

    TEXT = "text"
    JSON = "json"


class Decided(StrEnum):
    """Which decisions get a line: none, those that were stopped (medium and high), all."""

    NONE = "none"
    STOPPED = "stopped"
    ALL = "all"


class JsonLines(logging.Formatter):
    """One JSON object a line: at (UTC), level, logger, message, then what the record carries; `error` with its trace."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(), "logger": record.name, "message": _DETAIL.sub("", record.getMessage()),
            **getattr(record, FIELDS, {}),
        }  # fmt: skip
        if record.exc_info:
            line["error"] = _DETAIL.sub("", self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=str)


class _Words(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = getattr(record, FIELDS, {})
        return _DETAIL.sub("", super().format(record)) + "".join(f" {name}={value}" for name, value in fields.items())


@contextmanager
def written(form: Format, stream: TextIO | None = None) -> Iterator[None]:
    """Write what is logged in the block in this form, from another thread; by default to the standard error."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form is Format.JSON else _Words("%(asctime)s %(levelname)s %(message)s"))
    waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    root, listener = logging.getLogger(), logging.handlers.QueueListener(waiting, handler)
    before, root.handlers[:] = list(root.handlers), [_Handed(waiting)]
    root.setLevel(logging.INFO)
    listener.start()
    try:
        yield
    finally:
        root.handlers[:] = before
        listener.stop()  # which writes what is left


class _Handed(logging.handlers.QueueHandler):
    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """As it is: it stays in this process, and formatting it is the other thread's business."""
        return record


def decided(operation: Operation, decision: Decision, seconds: float) -> None:
    """A line about a decision: the operation's id, its parties masked, what was decided and by which layers, and how long it took."""
    fields = {
        "operation_id": operation.operation_id, "kind": operation.kind.value, "decided": decision.level, "action": decision.action.value,
        "score": decision.score, "layers": [layer.value for layer in decision.asked], "degraded": list(decision.degraded),
        "case_id": decision.case_id, "sequence": decision.sequence, "ms": round(seconds * 1000, 3),
        "customer": masked_key(operation.sender.customer_key()), "recipient": masked_key(operation.recipient.account_key()),
    }  # fmt: skip
    decisions.info("operation decided", extra={FIELDS: fields})
