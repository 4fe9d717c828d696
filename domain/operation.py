"""The operation: what is assessed, as it comes over the wire and as it is kept (R16, R46-R55)."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct
from msgspec.structs import astuple, replace

from domain import instants
from domain.errors import InputError
from domain.identifiers import QR_LENGTH, IdentifierKind, Identifiers
from domain.money import Money


class Kind(StrEnum):
    """The kinds of operation that para. 14 covers, in its order (R46-R55)."""

    BANK_ACCOUNT = "bank_account"
    MOBILE_APPLICATION = "mobile_application"
    E_WALLET = "e_wallet"
    QR_OR_CARD = "qr_or_card"
    DOMESTIC_TRANSFER = "domestic_transfer"
    INTERNATIONAL_TRANSFER = "international_transfer"
    VIRTUAL_ASSET_TRANSFER = "virtual_asset_transfer"
    CASH_WITHDRAWAL = "cash_withdrawal"
    TOP_UP = "top_up"
    OTHER = "other"


RecordId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        pattern=r"^[\x21-\x7e]+$(?!\n)",
        description="1 to 128 printable characters of ASCII, no blanks",
    ),
]
"""An id that the caller chose: opaque, printable ASCII without blanks, kept to the letter."""
Text = Annotated[str, Meta(min_length=1, max_length=128)]
AwareTime = Annotated[datetime, Meta(tz=True)]


class Party(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A sender or a recipient: every identifier that is known of it. At least one is required."""

    customer_id: Text | None = None
    account: Text | None = None
    wallet: Text | None = None
    card: Text | None = None
    phone: Text | None = None
    service: Text | None = None
    institution: Text | None = None
    country: Text | None = None
    qr_id: Annotated[str, Meta(min_length=1, max_length=QR_LENGTH)] | None = None
    virtual_asset_address: Text | None = None

    def account_key(self) -> str:
        """The one account that this party moves money on, as `kind:value`; empty when nothing names it.

        The same key whether the party sends or receives, so that pass-through and collecting are seen on it (R72, R73).
        """
        for name in ACCOUNT_FIELDS:
            value = getattr(self, name)
            if value is not None:
                return f"{name}:{value}"
        return ""

    def customer_key(self) -> str:
        """The customer, or the account where no customer is named."""
        return f"customer_id:{self.customer_id}" if self.customer_id is not None else self.account_key()


ACCOUNT_FIELDS = ("account", "wallet", "card", "virtual_asset_address", "qr_id", "phone", "service", "customer_id")
"""Which identifier of a party names its account: the first that is present."""


class Device(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the operation was made; latitude and longitude in degrees (WGS 84); country by address (R62)."""

    id: Text | None = None
    ip: Text | None = None
    country: Text | None = None
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    vpn: bool | None = None
    application: Text | None = None


class Access(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the customer came in, and which agent or employee acted (R15, R71)."""

    session_id: Text | None = None
    login_method: Text | None = None
    authorisation_method: Text | None = None
    agent_id: Text | None = None
    employee_id: Text | None = None


class Funding(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the money of a top-up comes from: the instrument and the source (R70, R73)."""

    instrument: Text | None = None
    source: Text | None = None


class Operation(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One operation to assess. category: ISO 18245 merchant category code; purpose: free text, never a feature."""

    operation_id: RecordId
    occurred_at: AwareTime
    kind: Kind
    amount: Money
    sender: Party
    recipient: Party
    device: Device | None = None
    access: Access | None = None
    funding: Funding | None = None
    category: Annotated[str, Meta(pattern=r"^[0-9]{4}$(?!\n)", description="four digits of ISO 18245")] | None = None
    purpose: Annotated[str, Meta(max_length=500)] | None = None


PartT = TypeVar("PartT", bound=Struct)

IDENTIFIER_FIELDS: dict[type[Struct], dict[str, IdentifierKind]] = {
    Party: {
        "customer_id": IdentifierKind.CUSTOMER,
        "account": IdentifierKind.ACCOUNT,
        "wallet": IdentifierKind.WALLET,
        "card": IdentifierKind.CARD,
        "phone": IdentifierKind.PHONE,
        "service": IdentifierKind.SERVICE,
        "institution": IdentifierKind.INSTITUTION,
        "country": IdentifierKind.COUNTRY,
        "qr_id": IdentifierKind.QR,
        "virtual_asset_address": IdentifierKind.VIRTUAL_ASSET_ADDRESS,
    },
    Device: {
        "id": IdentifierKind.DEVICE,
        "ip": IdentifierKind.IP,
        "country": IdentifierKind.COUNTRY,
        "application": IdentifierKind.SERVICE,
    },
    Access: {
        "session_id": IdentifierKind.SESSION,
        "login_method": IdentifierKind.SERVICE,
        "authorisation_method": IdentifierKind.SERVICE,
        "agent_id": IdentifierKind.AGENT,
        "employee_id": IdentifierKind.EMPLOYEE,
    },
    Funding: {"instrument": IdentifierKind.SERVICE, "source": IdentifierKind.SERVICE},
}
"""Which field of which part is an identifier, and of which kind: the one list that normalising and the registry read."""


_NAMED = {
    part: tuple((name, fields.get(name)) for name in part.__struct_fields__) for part, fields in IDENTIFIER_FIELDS.items()
}
_EMPTY = {part: part() for part in IDENTIFIER_FIELDS}
PARTS: dict[str, type[Struct]] = {
    "sender": Party, "recipient": Party, "device": Device, "access": Access, "funding": Funding
}  # fmt: skip
"""The parts of an operation that hold identifiers."""
_PLACES = tuple(
    (part, tuple((f"{part}.{name}", name, kind) for name, kind in IDENTIFIER_FIELDS[type_].items()))
    for part, type_ in PARTS.items()
)


def normal_part(part: PartT, identifiers: Identifiers, path: str) -> PartT:
    """The part with every identifier in normal form; IdentifierError names the field."""
    changed = {}
    for (name, kind), value in zip(_NAMED[type(part)], astuple(part), strict=True):
        if value is None or kind is None:
            continue
        if (normal := identifiers.normal(kind, value, name, path)) != value:
            changed[name] = normal
    return replace(part, **changed) if changed else part


def normal_operation(operation: Operation, identifiers: Identifiers, latest: datetime) -> Operation:
    """The operation in canonical form; InputError names the first field that has none.

    latest: the last instant at which an operation may have occurred (now, and some minutes for unequal clocks).
    """
    operation.amount.reference_tyiyn()
    changed: dict[str, Any] = {}
    for name in PARTS:
        part = getattr(operation, name)
        if part is not None and (normal := given(normal_part(part, identifiers, name))) is not part:
            changed[name] = normal
    for side in ("sender", "recipient"):
        party = changed.get(side, getattr(operation, side))
        if party is None or not party.account_key():
            raise InputError(side, "no identifier", f"at least one of {', '.join(ACCOUNT_FIELDS)}")
    occurred_at = instants.canonical(operation.occurred_at, "occurred_at", latest)
    if occurred_at is not operation.occurred_at:
        changed["occurred_at"] = occurred_at
    return replace(operation, **changed) if changed else operation


def given(part: PartT) -> PartT | None:
    """The part, or None when nothing is in it: `"device": {}` says no more than no device."""
    return None if part == _EMPTY[type(part)] else part


def identifiers_of(operation: Operation) -> Iterator[tuple[str, IdentifierKind, str]]:
    """Every identifier of a canonical operation as (field, kind, value): what the registry is asked (R96)."""
    for path, places in _PLACES:
        part = getattr(operation, path)
        if part is not None:
            for field, name, kind in places:
                value = getattr(part, name)
                if value is not None:
                    yield field, kind, value
