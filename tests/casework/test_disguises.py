"""Whatever disguise a listed identifier comes in, in whichever field of its kind: it is met, or refused as invalid (R96). No third way."""

import contextlib
import random
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casework import database as databases
from casework.registry import Registry
from domain.errors import InputError
from domain.identifiers import IdentifierKind
from domain.instants import from_ms
from domain.operation import IDENTIFIER_FIELDS, PARTS, Operation, normal_operation
from tests import registry
from tests.casework.test_registry import IDENTIFIERS
from tests.domain.test_qr_payload import emvco

NOW = from_ms(4_000_000_000_000)
LISTED = {
    IdentifierKind.CUSTOMER: "c-1001x", IdentifierKind.ACCOUNT: "1240020000012345", IdentifierKind.WALLET: "w-77001122334",
    IdentifierKind.CARD: "4111111111111111", IdentifierKind.PHONE: "+996555123456", IdentifierKind.SERVICE: "лото шанс kg",
    IdentifierKind.INSTITUTION: "bank-9", IdentifierKind.COUNTRY: "IR", IdentifierKind.QR: "qr-100200300",
    IdentifierKind.VIRTUAL_ASSET_ADDRESS: "0x" + "ab12" * 10, IdentifierKind.DEVICE: "dev-55aa", IdentifierKind.IP: "192.0.2.77",
    IdentifierKind.SESSION: "sess-91", IdentifierKind.AGENT: "ag-17", IdentifierKind.EMPLOYEE: "emp-3",
}  # fmt: skip
"""One of each kind."""
PLACES = [(part, field, kind) for part, type_ in PARTS.items() for field, kind in IDENTIFIER_FIELDS[type_].items()]
"""Every field of every part that holds an identifier."""

INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e\u061c\u200e\u200f\u202a\u202e\u2066\x00\x1f\x7f"
BLANKS = " \t\u00a0\u2000\u2003\u2007\u2009\u3000\u1680"
DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\uff0d"
HOMOGLYPHS = str.maketrans("abekmhopctyxiABEKMHOPCTYX", "авекмнорстухіАВЕКМНОРСТУХ")
BACK = str.maketrans("авекмнорстухі", "abekmhopctyxi")
SCRIPTS_OF_DIGITS = ["٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "०१२३४५६७८९", "０１２３４５６７８９", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗", "⁰¹²³⁴⁵⁶⁷⁸⁹"]
OPENING, CLOSING = '«“"„', '»”"’'
Draw = random.Random


def _at_a_place(text: str, draw: Draw, added: str) -> str:
    place = draw.randint(0, len(text))
    return text[:place] + added + text[place:]


def _some(text: str, draw: Draw, change: Callable[[str], str]) -> str:
    return "".join(change(c) if draw.random() < 0.4 else c for c in text)


def _full_width(c: str) -> str:
    return chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c


def _telephone(text: str, draw: Draw) -> str:
    for prefix in ("+996", "996"):
        if text.startswith(prefix) and text[len(prefix) :].isdigit():
            return (
                draw.choice(["0", "", "996", "00996", "+996", "0996", "+996 (0) ", "+996-0", "(0", "996 0"])
                + text[len(prefix) :]
            )
    return text


DISGUISES: dict[str, Callable[[str, Draw], str]] = {
    "a blank": lambda text, draw: _at_a_place(text, draw, draw.choice(BLANKS)),
    "blanks around": lambda text, draw: f"{draw.choice(BLANKS)}{text}{draw.choice(BLANKS)}",
    "something invisible": lambda text, draw: _at_a_place(text, draw, draw.choice(INVISIBLE)),
    "a dash": lambda text, draw: _at_a_place(text, draw, draw.choice(DASHES)),
    "other dashes": lambda text, draw: text.replace("-", draw.choice(DASHES)),
    "capitals": lambda text, draw: _some(text, draw, str.upper),
    "small letters": lambda text, draw: _some(text, draw, str.lower),
    "full width": lambda text, draw: _some(text, draw, _full_width),
    "another script's letters": lambda text, draw: _some(text, draw, lambda c: c.translate(draw.choice([HOMOGLYPHS, BACK]))),
    "another script's digits": lambda text, draw: text.translate(str.maketrans("0123456789", draw.choice(SCRIPTS_OF_DIGITS))),
    "another way to dial": _telephone,
    "brackets": lambda text, draw: f"{text[:4]}({text[4:7]}){text[7:]}" if text[:1] in "+0" else text,
    "quotes": lambda text, draw: draw.choice(OPENING) + text + draw.choice(CLOSING),
    "an accent": lambda text, draw: _at_a_place(text, draw, "\u0301"),
}  # fmt: skip


@pytest.fixture(scope="module")
def live(tmp_path_factory) -> Registry:
    """A registry with one identifier of each kind, and a QR payload."""
    with databases.connect(databases.url_of(tmp_path_factory.mktemp("disguises") / "burana.db")) as database:
        for kind, value in LISTED.items():
            registry.add(database, IDENTIFIERS, kind, value)
        registry.add(database, IDENTIFIERS, IdentifierKind.QR, emvco())
        return Registry(database, IDENTIFIERS)


def sent(part: str, field: str, value: str) -> Operation:
    """An operation with this value in this field, in normal form; InputError where it has none."""
    record = {"operation_id": "op-1", "occurred_at": "2025-06-02T04:00:00Z", "kind": "domestic_transfer", "amount": {"minor": 1, "currency": "KGS"},
              "sender": {"customer_id": "a"}, "recipient": {"customer_id": "b"}}  # fmt: skip
    record[part] = {**record.get(part, {}), field: value}
    return normal_operation(msgspec.convert(record, Operation, strict=False), IDENTIFIERS, NOW)


def met(live: Registry, part: str, field: str, value: str) -> bool:
    """Whether the disguised value is met in its field; InputError for one that is refused."""
    return any(hit.field == f"{part}.{field}" for hit in live.hits(sent(part, field, value)))


DRAWN = {"caught": 0, "refused": 0}


@settings(max_examples=6_000)
@given(
    place=st.sampled_from(PLACES),
    names=st.lists(st.sampled_from(sorted(DISGUISES)), min_size=1, max_size=3),
    seed=st.integers(0, 2**32),
)
def test_r96_a_disguised_identifier_is_met_or_refused(live, place, names, seed):
    part, field, kind = place
    draw, value = random.Random(seed), LISTED[kind]
    for name in names:
        value = DISGUISES[name](value, draw)
    if not reads_the_same(kind, value):
        return
    try:
        assert met(live, part, field, value), (part, field, names, value)
        DRAWN["caught"] += 1
    except (InputError, msgspec.ValidationError):
        DRAWN["refused"] += 1


def reads_the_same(kind: IdentifierKind, value: str) -> bool:
    """Whether who reads the disguised value reads the listed one: an account with a dash more, and a name in two words, read otherwise."""
    if kind in (IdentifierKind.CARD, IdentifierKind.PHONE, IdentifierKind.ACCOUNT, IdentifierKind.WALLET, IdentifierKind.QR):
        return True
    dashes = sum(c in DASHES for c in value)
    blanks = len(value.split()) if kind is IdentifierKind.SERVICE else 0
    accents = "\u0301" in value
    return not accents and dashes == LISTED[kind].count("-") and blanks == len(LISTED[kind].split()) * bool(blanks)


def test_the_disguises_were_both_caught_and_refused():
    assert DRAWN["caught"] > 1_000, DRAWN
    assert DRAWN["refused"] > 100, DRAWN


@settings(max_examples=500)
@given(names=st.lists(st.sampled_from(sorted(DISGUISES)), min_size=1, max_size=2), seed=st.integers(0, 2**32))
def test_r42_a_disguised_qr_payload_is_met_or_refused(live, names, seed):
    draw, value = random.Random(seed), emvco()
    for name in names:
        value = DISGUISES[name](value, draw)
    with contextlib.suppress(InputError, msgspec.ValidationError):
        assert met(live, "recipient", "qr_id", value), (names, value)
