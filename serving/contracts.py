"""Bytes in, bytes out: how requests are read and what every refusal looks like."""

import json
import re
from typing import Any

import msgspec

from domain.errors import (
    AuditError,
    ConflictError,
    ExplanationError,
    HeldElsewhereError,
    InputError,
    LedgerError,
    OtherCallerError,
    RuleError,
    SamePersonError,
    UnknownEntryError,
    UnknownOperationError,
    UnknownProposalError,
    UnknownRuleError,
)
from domain.events import Event, Outcome
from domain.misfits import misfit
from domain.operation import Operation

OPERATION = msgspec.json.Decoder(Operation)
EVENT = msgspec.json.Decoder(Event)
OUTCOME = msgspec.json.Decoder(Outcome)
encode = msgspec.json.encode


class Problem(msgspec.Struct, omit_defaults=True):
    """What every refusal says. code: for programs; message: for people; field, seen, allowed: for bad input.

    reference: under which the operator's log tells of a failure that nobody expected.
    """

    code: str
    message: str
    field: str | None = None
    seen: str | None = None
    allowed: str | None = None
    reference: str | None = None


class Refusal(Exception):  # noqa: N818 a refusal is an answer, not a defect
    """An answer that is not a decision: its HTTP status, its problem, and seconds after which to try again."""

    def __init__(self, status: int, problem: Problem, retry_after_s: int | None = None) -> None:
        super().__init__(problem.message)
        self.status, self.problem, self.retry_after_s = status, problem, retry_after_s

    @property
    def body(self) -> bytes:
        """The JSON body: `{"error": {...}}`."""
        return encode({"error": self.problem})


class Recorded(msgspec.Struct, frozen=True):
    """The answer to an event or an outcome: its id and its place in the ledger."""

    id: str
    sequence: int


def decoded(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    """What a person says in a body; Refusal 400 for what is not JSON, 422 for what does not fit, with the field named."""
    said = read(decoder, body)[0]
    if _NUL.search(body):
        problem = Problem(
            "invalid", "body: a text holds the character NUL, allowed any other", "body", "NUL", "any other character"
        )
        raise Refusal(422, problem)
    return said


def read(decoder: msgspec.json.Decoder[Any], body: bytes) -> tuple[Any, bytes]:
    """As `decoded`, and the record as it is encoded here."""
    try:
        record = decoder.decode(body)
        encoded = encode(record)
        if b"\\" in body or body.count(b'"') != encoded.count(b'"'):
            _EACH_KEY_ONCE.decode(body.decode())
    except msgspec.ValidationError as error:
        raise Refusal(422, invalid(error, decoder.type)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, Problem("malformed", f"the body is not JSON in UTF-8: {error}")) from None
    return record, encoded


_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""The character as JSON alone can say it, behind no backslash that takes its own away. PostgreSQL keeps it in no text."""


def _once(pairs: list[tuple[str, Any]]) -> None:
    """One object's keys: of a key that stands twice, two readers could take different values."""
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Refusal(422, Problem("invalid", f"{twice}: stands twice in one object", twice, allowed="each field once"))


# msgspec takes the last of equal keys and cannot be told to refuse them. A second reading costs 6 us an operation, so it is left
# out where it could find nothing: with no escapes every quote belongs to a key or to a text, and a key that stands twice has
# more of them in the body than in the record, which is encoded without defaults that the body did not say
_EACH_KEY_ONCE = json.JSONDecoder(object_pairs_hook=_once, parse_int=str, parse_float=str, strict=False)


def invalid(error: msgspec.ValidationError, type_: Any) -> Problem:
    """What of a body or a query does not fit. type_: what was asked for."""
    field, what, seen, allowed = misfit(error, type_)
    return Problem("invalid", f"{field or 'body'}: {what}", field or "body", seen, allowed)


_UNKNOWN: dict[type[Exception], str] = {
    UnknownEntryError: "unknown_entry", UnknownProposalError: "unknown_proposal", UnknownRuleError: "unknown_rule"
}  # fmt: skip


def refusal_of(error: Exception) -> Refusal:
    """The refusal that answers an error of the domain; any other error is raised again."""
    if (refusal := expected_refusal(error)) is None:
        raise error
    return refusal


def expected_refusal(error: Exception) -> Refusal | None:
    """The refusal that answers an error of the domain, None for an error that has no answer of its own."""
    match error:
        case Refusal():
            return error
        case InputError():
            return Refusal(422, Problem("invalid", str(error), error.field, error.seen, error.allowed))
        case ConflictError():
            return Refusal(409, Problem("conflict", str(error)))
        case ExplanationError():
            return Refusal(409, Problem("not_explained", str(error), "operation_id"))
        case UnknownEntryError() | UnknownProposalError() | UnknownRuleError():
            return Refusal(404, Problem(_UNKNOWN[type(error)], str(error)))
        case SamePersonError():
            return Refusal(403, Problem("same_person", str(error)))
        case OtherCallerError():
            return Refusal(403, Problem("other_caller", str(error)))
        case RuleError():
            return Refusal(422, Problem("rule_refused", str(error), "rule"))
        case AuditError():
            return Refusal(409, Problem("not_signed", str(error)))
        case UnknownOperationError():
            return Refusal(422, Problem("unknown_operation", str(error), "operation_id"))
        case HeldElsewhereError():
            said = "this is the standby, another process records: send it there, or again, with the same body"
            return Refusal(503, Problem("standby", said), retry_after_s=1)
        case LedgerError():
            return Refusal(
                503,
                Problem("unavailable", "nothing is known to be recorded; send it again, with the same body"),
                retry_after_s=1,
            )
    return None
