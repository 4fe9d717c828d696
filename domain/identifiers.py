"""Identifiers: one normal form each, so that a disguised value meets its registry entry or is refused (R41-R44, R96).

Normalising is total (a canonical value or an IdentifierError, for any string) and idempotent (a canonical value stays).
Refused: the phonenumbers library. Its metadata change between releases, and a normal form that changes with a release would
part stored registry entries from the operations they must stop; it also costs 47 us a number.
"""

import hashlib
import hmac
import ipaddress
import re
import unicodedata
from collections.abc import Callable
from enum import StrEnum
from functools import partial

from domain.errors import IdentifierError

MAX_LENGTH = 128


class IdentifierKind(StrEnum):
    """What an identifier names; a registry entry is a kind and a value (R41-R44)."""

    CUSTOMER = "customer"
    ACCOUNT = "account"
    WALLET = "wallet"
    CARD = "card"
    PHONE = "phone"
    SERVICE = "service"
    INSTITUTION = "institution"
    COUNTRY = "country"
    QR = "qr"
    VIRTUAL_ASSET_ADDRESS = "virtual_asset_address"
    DEVICE = "device"
    IP = "ip"
    SESSION = "session"
    AGENT = "agent"
    EMPLOYEE = "employee"


class Identifiers:
    """Gives identifiers their normal form.

    card_key: secret of at least 16 bytes under which card numbers are hashed, so that no card number is ever stored;
    calling_code, trunk_prefix, national_length: how a phone number without a country is read (Kyrgyz Republic: 996, 0, 9).
    """

    def __init__(
        self, card_key: bytes, calling_code: str = "996", trunk_prefix: str = "0", national_length: int = 9
    ) -> None:
        if len(card_key) < 16:
            raise IdentifierError("card_key", f"{len(card_key)} bytes", "a secret of at least 16 bytes")
        self._normalisers: dict[IdentifierKind, Callable[[str], str]] = {
            **dict.fromkeys(IdentifierKind, _code),
            IdentifierKind.CARD: partial(_card, key=card_key),
            IdentifierKind.PHONE: partial(_phone, code=calling_code, trunk=trunk_prefix, length=national_length),
            IdentifierKind.SERVICE: _name,
            IdentifierKind.COUNTRY: _country,
            IdentifierKind.IP: _ip,
            IdentifierKind.VIRTUAL_ASSET_ADDRESS: _address,
        }

    def normal(self, kind: IdentifierKind, value: object, field: str = "") -> str:
        """The one canonical form of `value`; IdentifierError names `field` (by default the kind) otherwise."""
        if not isinstance(value, str):
            raise IdentifierError(field or kind, value, "a string")
        if not 0 < len(value) <= MAX_LENGTH:
            raise IdentifierError(field or kind, value, f"1 to {MAX_LENGTH} characters")
        try:
            return self._normalisers[kind](value)
        except _NoNormalForm as error:
            seen = f"{len(value)} characters" if kind is IdentifierKind.CARD else value
            raise IdentifierError(field or kind, seen, str(error)) from None


class _NoNormalForm(ValueError):  # noqa: N818 it never leaves this file
    """Says what is allowed."""


_CODE = re.compile(r"[a-z0-9][a-z0-9._:/@+#=*-]{0,127}")
_CARD_TOKEN = re.compile(r"card-[0-9a-f]{32}")
_E164 = re.compile(r"\+[1-9][0-9]{7,14}")
_ASSET = re.compile(r"[A-Za-z0-9]{20,128}")
_SEGWIT = re.compile(r"(bc|tb|ltc)1[0-9a-z]{10,}", re.IGNORECASE)


def _bare(text: str) -> str:
    """Compatibility forms folded, and every blank, control and invisible character gone."""
    folded = unicodedata.normalize("NFKC", text)
    return "".join(c for c in folded if unicodedata.category(c)[0] not in "ZC")


def _code(text: str) -> str:
    if _CODE.fullmatch(text):
        return text
    bare = _bare(text).lower()
    if not _CODE.fullmatch(bare):
        raise _NoNormalForm("Latin letters, digits and . _ : / @ + # = * -, beginning with a letter or digit")
    return bare


def _phone(text: str, code: str, trunk: str, length: int) -> str:
    if _E164.fullmatch(text):
        return text
    # digits of any script count as digits: full-width and Arabic-Indic numbers are the same phone
    bare = "".join(str(unicodedata.decimal(c, c)) for c in _bare(text))
    bare = re.sub(r"[-().\u2010-\u2015\u2212]", "", bare)
    digits = bare.removeprefix("+")
    if not digits.isascii() or not digits.isdigit():
        raise _NoNormalForm("a phone number: digits, optionally with + ( ) - . and blanks")
    if bare.startswith("+"):
        international = digits
    elif digits.startswith("00"):
        international = digits[2:]
    elif digits.startswith(trunk + code) and len(digits) == len(trunk + code) + length:
        international = digits.removeprefix(trunk)
    elif digits.startswith(code) and len(digits) == len(code) + length:
        international = digits
    elif digits.startswith(trunk) and len(digits) == len(trunk) + length:
        international = code + digits.removeprefix(trunk)
    elif len(digits) == length:
        international = code + digits
    else:
        raise _NoNormalForm(f"+ and the country's code, or a national number of {length} digits")
    if international.startswith(code + trunk) and len(international) == len(code + trunk) + length:
        international = code + international.removeprefix(code + trunk)
    if not _E164.fullmatch("+" + international):
        raise _NoNormalForm("8 to 15 digits after the + (E.164)")
    return "+" + international


def _card(text: str, key: bytes) -> str:
    if _CARD_TOKEN.fullmatch(text):
        return text
    digits = re.sub(r"[-\u2010-\u2015]", "", _bare(text))
    if _CARD_TOKEN.fullmatch(_bare(text).lower()):
        return _bare(text).lower()
    if not (digits.isascii() and digits.isdigit() and 12 <= len(digits) <= 19 and _passes_luhn(digits)):
        raise _NoNormalForm("a card number of 12 to 19 digits with a right check digit, or card- and 32 hex digits")
    return "card-" + hmac.new(key, digits.encode(), hashlib.sha256).hexdigest()[:32]


def _passes_luhn(digits: str) -> bool:
    odd, even = digits[-1::-2], digits[-2::-2]
    return (sum(map(int, odd)) + sum(sum(divmod(2 * int(d), 10)) for d in even)) % 10 == 0


def _name(text: str) -> str:
    # NFKC again after casefold: folding can leave a form that normalises further, and a normal form must stay
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    visible = "".join(" " if c.isspace() else c for c in folded if unicodedata.category(c) not in _INVISIBLE or c.isspace())
    name = unicodedata.normalize("NFKC", " ".join(visible.split()))
    if not name or len(name) > MAX_LENGTH or name != unicodedata.normalize("NFKC", name.casefold()):
        raise _NoNormalForm(f"a name of 1 to {MAX_LENGTH} visible characters")
    if any(len(_scripts(word)) > 1 for word in name.split()):
        raise _NoNormalForm("words of one script each (Latin and Cyrillic letters mixed in a word are a disguise)")
    return name


_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn"))


def _scripts(word: str) -> set[str]:
    return {unicodedata.name(c, "?").split(" ")[0] for c in word if c.isalpha()}


def _country(text: str) -> str:
    code = _bare(text).upper()
    if code not in COUNTRIES:
        raise _NoNormalForm("an ISO 3166-1 code of two letters, such as KG")
    return code


def _ip(text: str) -> str:
    try:
        address = ipaddress.ip_address(_bare(text))
    except ValueError:
        raise _NoNormalForm("an IPv4 or IPv6 address") from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise _NoNormalForm("an IPv6 address without a zone")
        address = address.ipv4_mapped or address
    return address.compressed


def _address(text: str) -> str:
    bare = _bare(text)
    if not _ASSET.fullmatch(bare):
        raise _NoNormalForm("a virtual-asset address of 20 to 128 Latin letters and digits")
    # hexadecimal and SegWit addresses ignore case; base58 addresses (Bitcoin, Tron) do not
    return bare.lower() if bare[:2].lower() == "0x" or _SEGWIT.fullmatch(bare) else bare


COUNTRIES = frozenset(
    [
        "AD",
        "AE",
        "AF",
        "AG",
        "AI",
        "AL",
        "AM",
        "AO",
        "AQ",
        "AR",
        "AS",
        "AT",
        "AU",
        "AW",
        "AX",
        "AZ",
        "BA",
        "BB",
        "BD",
        "BE",
        "BF",
        "BG",
        "BH",
        "BI",
        "BJ",
        "BL",
        "BM",
        "BN",
        "BO",
        "BQ",
        "BR",
        "BS",
        "BT",
        "BV",
        "BW",
        "BY",
        "BZ",
        "CA",
        "CC",
        "CD",
        "CF",
        "CG",
        "CH",
        "CI",
        "CK",
        "CL",
        "CM",
        "CN",
        "CO",
        "CR",
        "CU",
        "CV",
        "CW",
        "CX",
        "CY",
        "CZ",
        "DE",
        "DJ",
        "DK",
        "DM",
        "DO",
        "DZ",
        "EC",
        "EE",
        "EG",
        "EH",
        "ER",
        "ES",
        "ET",
        "FI",
        "FJ",
        "FK",
        "FM",
        "FO",
        "FR",
        "GA",
        "GB",
        "GD",
        "GE",
        "GF",
        "GG",
        "GH",
        "GI",
        "GL",
        "GM",
        "GN",
        "GP",
        "GQ",
        "GR",
        "GS",
        "GT",
        "GU",
        "GW",
        "GY",
        "HK",
        "HM",
        "HN",
        "HR",
        "HT",
        "HU",
        "ID",
        "IE",
        "IL",
        "IM",
        "IN",
        "IO",
        "IQ",
        "IR",
        "IS",
        "IT",
        "JE",
        "JM",
        "JO",
        "JP",
        "KE",
        "KG",
        "KH",
        "KI",
        "KM",
        "KN",
        "KP",
        "KR",
        "KW",
        "KY",
        "KZ",
        "LA",
        "LB",
        "LC",
        "LI",
        "LK",
        "LR",
        "LS",
        "LT",
        "LU",
        "LV",
        "LY",
        "MA",
        "MC",
        "MD",
        "ME",
        "MF",
        "MG",
        "MH",
        "MK",
        "ML",
        "MM",
        "MN",
        "MO",
        "MP",
        "MQ",
        "MR",
        "MS",
        "MT",
        "MU",
        "MV",
        "MW",
        "MX",
        "MY",
        "MZ",
        "NA",
        "NC",
        "NE",
        "NF",
        "NG",
        "NI",
        "NL",
        "NO",
        "NP",
        "NR",
        "NU",
        "NZ",
        "OM",
        "PA",
        "PE",
        "PF",
        "PG",
        "PH",
        "PK",
        "PL",
        "PM",
        "PN",
        "PR",
        "PS",
        "PT",
        "PW",
        "PY",
        "QA",
        "RE",
        "RO",
        "RS",
        "RU",
        "RW",
        "SA",
        "SB",
        "SC",
        "SD",
        "SE",
        "SG",
        "SH",
        "SI",
        "SJ",
        "SK",
        "SL",
        "SM",
        "SN",
        "SO",
        "SR",
        "SS",
        "ST",
        "SV",
        "SX",
        "SY",
        "SZ",
        "TC",
        "TD",
        "TF",
        "TG",
        "TH",
        "TJ",
        "TK",
        "TL",
        "TM",
        "TN",
        "TO",
        "TR",
        "TT",
        "TV",
        "TW",
        "TZ",
        "UA",
        "UG",
        "UM",
        "US",
        "UY",
        "UZ",
        "VA",
        "VC",
        "VE",
        "VG",
        "VI",
        "VN",
        "VU",
        "WF",
        "WS",
        "YE",
        "YT",
        "ZA",
        "ZM",
        "ZW",
    ]
)
"""ISO 3166-1 alpha-2."""


def masked(value: str) -> str:
    """For logs: the last four characters at most, and never more than a third of the value."""
    shown = min(4, len(value) // 3)
    return "*" * 4 + value[len(value) - shown :]
