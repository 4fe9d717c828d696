"""QR payloads: of EMVCo and of Kyrgyz banks; what is cut or changed is refused."""

import binascii
import hashlib
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import IdentifierError
from domain.identifiers import IdentifierKind, Identifiers
from domain.qr_payload import LONGEST, PayloadError, accounts, fields, payload_in

IDENTIFIERS = Identifiers(bytes(32))


def field(tag: str, value: str) -> str:
    return f"{tag}{len(value):02}{value}"


def national(phone: str = "996555123456", name: str = "Айгүл К.") -> str:
    """As Kyrgyz banks make it."""
    inside = field("00", "c2c.bank.kg") + field("01", "02") + field("10", phone) + field("12", "11")
    said = (
        field("00", "01")
        + field("01", "11")
        + field("32", inside)
        + field("52", "9999")
        + field("53", "417")
        + field("59", name)
    )
    return said + "6304" + hashlib.sha256(said.encode()).hexdigest()[-4:]


def emvco(account: str = "1240020000012345", bill: str = "bill-0000077") -> str:
    inside = field("00", "kg.elqr") + field("01", account)
    said = field("00", "01") + field("26", inside) + field("52", "5411") + field("53", "417") + field("58", "KG")
    said += field("59", "SHOP") + field("60", "BISHKEK") + field("62", field("01", bill) + field("07", "term-1")) + "6304"
    return said + f"{binascii.crc_hqx(said.encode(), 0xFFFF):04X}"


def test_the_checksum_of_emvco_s_own_algorithm_is_that_of_its_check_value():
    assert binascii.crc_hqx(b"123456789", 0xFFFF) == 0x29B1


@pytest.mark.parametrize("payload", [national(), emvco()])
@pytest.mark.parametrize("wrapped", [str, lambda text: f"https://app.bank.kg/qr/#{quote(text)}", lambda text: f"  {text}\n",
                                     lambda text: "https://bank.kg/d=" + quote(text, safe=""),
                                     lambda text: "".join(f"%{byte:02X}" for byte in text.encode())])  # fmt: skip
def test_a_payload_is_found_in_itself_and_in_a_link(payload, wrapped):
    assert payload_in(wrapped(payload)) == payload
    assert IDENTIFIERS.normal(IdentifierKind.QR, wrapped(payload)) == payload
    assert IDENTIFIERS.normal(IdentifierKind.QR, payload) == payload, "a normal form stays"


def test_the_account_the_telephone_and_the_bill_are_told():
    assert accounts(national()) == ["996555123456"]
    assert accounts(emvco()) == ["1240020000012345", "bill-0000077"]
    assert dict(fields(emvco()))["62.07"] == "term-1"


def test_a_code_that_is_no_payload_is_none():
    for code in ("qr-7", "1240020000012345", "shop/000201", "https://bank.kg/qr/77", "a0002010102"):
        assert payload_in(code) is None
        IDENTIFIERS.normal(IdentifierKind.QR, code)


@given(place=st.integers(0, 200), change=st.sampled_from("0123456789abz "))
def test_a_payload_with_one_character_changed_is_refused_or_no_payload(place, change):
    payload = national(name="AIGUL K.")
    place %= len(payload)
    changed = payload[:place] + change + payload[place + 1 :]
    if changed.lower() == payload.lower() or not changed.startswith("000201"):
        return
    with pytest.raises(IdentifierError, match="QR payload"):
        IDENTIFIERS.normal(IdentifierKind.QR, changed)


@pytest.mark.parametrize("changed", [national()[:-1], national()[:-8], national() + "00", national()[:40], "0002010102112600",
                                     "\uff10\uff10\uff10\uff12\uff10\uff11\uff10\uff11\uff10\uff12\uff11\uff11", "00020\u200b101021132",
                                     field("00", "01") + "0" * LONGEST])  # fmt: skip
def test_what_is_cut_or_disguised_is_refused(changed):
    with pytest.raises(IdentifierError, match="QR payload"):
        IDENTIFIERS.normal(IdentifierKind.QR, changed)


@pytest.mark.parametrize(
    "said", ["0002010103", "000201019911", "0002010299X", "000201" + field("26", "00") + field("53", "417")]
)
def test_fields_that_do_not_fit_are_refused_also_with_a_right_checksum(said):
    with pytest.raises(PayloadError):
        payload_in(said + "6304" + hashlib.sha256(said.encode()).hexdigest()[-4:])
