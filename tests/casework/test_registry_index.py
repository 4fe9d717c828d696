"""Asking the registry's index: what is listed is never told absent, and is what looking through all entries finds."""

import hashlib
import hmac

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casework.registry_index import RECORD, Index
from casework.registry_keys import MONEY_KINDS, SHORTEST
from casework.registry_value import asking
from casework.registry_ways import SOURCE_OF_FUNDS
from domain.identifiers import IdentifierKind, Identifiers
from domain.operation import IDENTIFIER_FIELDS, Funding, Operation, Party, identifiers_of
from tests import registry
from tests.casework.test_disguises import NOW
from tests.casework.test_registry import operation

CARD_KEY = b"a key of the tests, 16 bytes or more"
IDENTIFIERS = Identifiers(CARD_KEY)
FIRST = st.one_of(
    st.integers(0, 3),
    st.integers(2**64 - 4, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 63).map(lambda bit: 1 << bit),
)
"""First halves of keys: at both ends, where they share all leading bits, and anywhere."""


def index_of(keys: list[tuple[int, int]]) -> Index:
    records = np.zeros(len(keys), RECORD)
    for place, (high, low) in enumerate(keys):
        records[place]["high"], records[place]["low"], records[place]["entry"] = high, low, place
    return Index(records)


@settings(max_examples=500)
@given(listed=st.lists(st.tuples(FIRST, st.integers(0, 2)), max_size=60), other=st.tuples(FIRST, st.integers(0, 2)))
@example(listed=[], other=(0, 0))
@example(listed=[(2**64 - 1, 0)] * 3, other=(0, 0))
def test_a_listed_key_is_never_told_absent_and_finds_its_entries_in_their_order(listed, other):
    index = index_of(listed)
    for key in {*listed, other}:
        assert index.has_any([((1, 1), 0), (key, 0)]) or key not in listed
        assert [found.entry for found in index.find(key)] == [place for place, one in enumerate(listed) if one == key]


# ---- every way of asking against looking through all entries -----------------------------------------------------------

NUMBERS = [
    "4111111111111111",
    "555123456",
    "0555123456",
    "996555123456",
    "1240020000012345",
    "124002",
    "00996555123456",
    "5500000000000004",
]
WRITTEN = st.sampled_from(NUMBERS).flatmap(
    lambda number: st.sampled_from(
        [number, f"{number[:4]}-{number[4:]}", f"w{number}", f"W.{number}", f"+{number}", f"T{number}"]
    )
)
KINDS = st.sampled_from([*sorted(MONEY_KINDS), IdentifierKind.CUSTOMER, IdentifierKind.SERVICE, IdentifierKind.DEVICE])
FIELDS = {name: kind for name, kind in IDENTIFIER_FIELDS[Party].items() if kind is not IdentifierKind.COUNTRY}


def letters(value: str) -> str:
    return "".join(c for c in value.lower() if c.isalnum())


def card(digits: str) -> str | None:
    """What a number is as a card, by the letter of Luhn's rule and the library's HMAC."""
    doubled = [int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits))]
    if not 12 <= len(digits) <= 19 or digits[0] == "0" or sum(d - 9 * (d > 9) for d in doubled) % 10:
        return None
    return f"card-{hmac.digest(CARD_KEY, digits.encode(), 'sha256').hex()[:32]}"


def meets(field: str, kind: IdentifierKind, value: str, listed: IdentifierKind, entry: str) -> bool:
    """Whether a value in a field meets an entry, as the requirement says it (R96)."""
    names_money, plain = kind in MONEY_KINDS or field == SOURCE_OF_FUNDS, letters(value)
    if kind is listed and value == entry:
        return True
    if not names_money or listed not in MONEY_KINDS or len(plain) < SHORTEST:
        return False
    is_number = plain.isdigit() and kind is not IdentifierKind.PHONE
    as_number = {
        IdentifierKind.CARD: card,
        IdentifierKind.PHONE: lambda digits: IDENTIFIERS.form(IdentifierKind.PHONE, digits),
    }
    return plain == letters(entry) or (is_number and listed in as_number and as_number[listed](plain) == entry)


@settings(max_examples=1_500)
@given(
    listed=st.lists(st.tuples(KINDS, WRITTEN), max_size=6),
    given_=st.dictionaries(st.sampled_from(sorted(FIELDS)), WRITTEN),
    source=WRITTEN,
)
def test_r96_an_operation_meets_exactly_what_looking_through_all_entries_finds(listed, given_, source):
    forms = [(kind, form) for kind, value in listed if (form := IDENTIFIERS.form(kind, value)) is not None]
    party = {name: form for name, value in given_.items() if (form := IDENTIFIERS.form(FIELDS[name], value)) is not None}
    asked = paid(Party(**party), Funding(source=IDENTIFIERS.form(IdentifierKind.SERVICE, source)))
    hits, _ = asking(IDENTIFIERS, [registry.listing(kind, form) for kind, form in forms]).ask(asked, NOW)
    expected = {
        (field, place) for field, kind, value in identifiers_of(asked) for place, (of, form) in enumerate(forms)
        if meets(field, kind, value, of, form)
    }  # fmt: skip
    assert {(hit.field, hit.entry_id) for hit in hits} == expected


def paid(recipient: Party, funding: Funding) -> Operation:
    """An operation in normal form that pays a recipient."""
    plain = operation(recipient={"customer_id": "b"})
    return Operation(
        plain.operation_id, plain.occurred_at, plain.kind, plain.amount, plain.sender, recipient, funding=funding
    )


@given(st.binary(min_size=16, max_size=200), st.from_regex(r"[1-9][0-9]{10,17}", fullmatch=True))
def test_a_cards_token_is_the_hmac_of_its_number_under_whatever_key(key, begin):
    number = next(f"{begin}{last}" for last in range(10) if card(f"{begin}{last}"))
    expected = hmac.new(key, number.encode(), hashlib.sha256).hexdigest()[:32]
    assert Identifiers(key).form(IdentifierKind.CARD, number) == f"card-{expected}"
