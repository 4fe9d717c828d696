"""Basic operation verification (para. 7, R22): what needs no history and no model."""

from domain.criteria import FraudCriterion
from domain.decision import Layer, Reason
from domain.operation import Kind, Operation

REQUIRED: dict[Kind, tuple[str, ...]] = {
    Kind.VIRTUAL_ASSET_TRANSFER: ("virtual_asset_address", "institution"),
    Kind.INTERNATIONAL_TRANSFER: ("country", "institution"),
}
"""At least one of these must be known of one of the parties for the operation to be what its kind says."""


def verify(operation: Operation, amount_tyiyn: int, limit_tyiyn: int) -> tuple[Reason, ...]:
    """A reason for each check that the operation does not pass; each one sends it to verification."""
    reasons = []
    if amount_tyiyn >= limit_tyiyn:
        reasons.append(_reason("amount_limit", FraudCriterion.AMOUNT, f"the amount is at or above {limit_tyiyn} tyiyn"))
    if operation.sender.account_key() == operation.recipient.account_key():
        reasons.append(_reason("same_account", FraudCriterion.POLICY, "sender and recipient are the same account"))
    required = REQUIRED.get(operation.kind, ())
    parties = (operation.sender, operation.recipient)
    if required and all(getattr(party, name) is None for party in parties for name in required):
        text = f"{operation.kind} names no {' or '.join(required)} of either party"
        reasons.append(_reason("parties_incomplete", FraudCriterion.POLICY, text))
    return tuple(reasons)


def _reason(code: str, criterion: FraudCriterion, text: str) -> Reason:
    return Reason(Layer.BASIC, code, criterion, text)
