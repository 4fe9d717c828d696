"""Identifiers: one normal form each, so that a disguised value meets its registry entry or is refused (R41-R44, R96).

Normalising is total (a canonical value or an IdentifierError, for any string) and idempotent (a canonical value stays).
A disguise is what cannot be seen or looks the same: blanks, invisible characters, other digits, dashes, quotes, scripts. Not
seen through: what reads otherwise (0 for o, l for I in a name; dashes in an account), and one virtual-asset account that has
several encodings (Tron in hexadecimal, TON bounceable or not).
Refused: the phonenumbers library. Its metadata change between releases, and a normal form that changes with a release would
part stored registry entries from the operations they must stop; it also costs 47 us a number.
"""

import hashlib
import ipaddress
import re
import unicodedata
from collections.abc import Callable
from enum import StrEnum

from domain.errors import IdentifierError
from domain.qr_payload import PayloadError, payload_in

MAX_LENGTH = 128
QR_LENGTH = 1024
"""Characters that a QR payload in a link, percent signs and all, may have; it has no more than 512 itself."""


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

    card_key: secret of at least 16 bytes under which card numbers are hashed, so that no card number that is given as one is stored;
    calling_code, trunk_prefix, national_length: how a phone number without a country is read (Kyrgyz Republic: 996, 0, 9).
    """

    def __init__(
        self, card_key: bytes, calling_code: str = "996", trunk_prefix: str = "0", national_length: int = 9
    ) -> None:
        if len(card_key) < 16:
            raise IdentifierError("card_key", f"{len(card_key)} bytes", "a secret of at least 16 bytes")
        self._phone = _Phone(calling_code, trunk_prefix, national_length)
        self._card = _Card(card_key)
        normalisers: dict[IdentifierKind, Callable[[str], str]] = {
            **dict.fromkeys(IdentifierKind, _code),
            IdentifierKind.CARD: self._card,
            IdentifierKind.PHONE: self._phone,
            IdentifierKind.SERVICE: _name,
            IdentifierKind.QR: _qr,
            IdentifierKind.COUNTRY: _country,
            IdentifierKind.IP: _ip,
            IdentifierKind.VIRTUAL_ASSET_ADDRESS: _address,
        }
        self._forms = {kind: (normaliser, longest(kind)) for kind, normaliser in normalisers.items()}

    def form(self, kind: IdentifierKind, value: str) -> str | None:
        """The canonical form of `value` as that kind, or None where it has none."""
        normaliser, most = self._forms[kind]
        if not 0 < len(value) <= most:
            return None
        try:
            return normaliser(value)
        except _NoNormalForm:
            return None

    def of_number(self, digits: str) -> tuple[str | None, str | None]:
        """What a number that stands in the field of another kind is as a card and as a telephone; None where it can be none. digits: ASCII."""
        is_card = _passes_luhn(digits) and _CARD_NUMBER.fullmatch(digits)
        telephone = self.form(IdentifierKind.PHONE, digits) if self._phone.may_be(digits) else None
        return self._card.token(digits) if is_card else None, telephone

    def normal(self, kind: IdentifierKind, value: object, field: str = "", of: str = "") -> str:
        """The one canonical form of `value`; IdentifierError names `field` (by default the kind), of the part `of`, otherwise."""
        normaliser, most = self._forms[kind]
        allowed = "a string"
        if isinstance(value, str):
            if 0 < len(value) <= most:
                try:
                    return normaliser(value)
                except _NoNormalForm as error:
                    allowed = str(error)
            else:
                allowed = f"1 to {most} characters"
        path = f"{of}.{field}" if of else field or kind
        raise IdentifierError(path, _not_shown(value) if kind is IdentifierKind.CARD else value, allowed)


def longest(kind: IdentifierKind) -> int:
    """Characters that an identifier may have as it is given."""
    return QR_LENGTH if kind is IdentifierKind.QR else MAX_LENGTH


def _not_shown(value: object) -> str:
    """What is said of a refused card number: it stays secret."""
    return f"{len(value)} characters" if isinstance(value, str) else type(value).__name__


class _NoNormalForm(ValueError):  # noqa: N818 it never leaves this file
    """Says what is allowed."""


_CODE = re.compile(r"[a-z0-9][a-z0-9._:/@+#=*-]{0,127}")
_CARD_TOKEN = re.compile(r"card-[0-9a-f]{32}")
_CARD_NUMBER = re.compile(r"[1-9][0-9]{11,18}")
_ASSET = re.compile(r"[A-Za-z0-9]{20,128}")
_HEXADECIMAL = re.compile(r"0x[0-9a-z]+|[0-9a-f]{40}", re.IGNORECASE)
_TRON = re.compile(r"T[1-9A-HJ-NP-Za-km-z]{33}")
_SEGWIT = re.compile(r"(bc|tb|ltc)1[0-9a-z]{10,}", re.IGNORECASE)


def _bare(text: str) -> str:
    """Compatibility forms folded, and every blank, control and invisible character gone."""
    if text.isascii() and text.isprintable():
        return text.replace(" ", "")
    folded = unicodedata.normalize("NFKC", text)
    return "".join(c for c in folded if unicodedata.category(c)[0] not in "ZC")


def _code(text: str) -> str:
    if _CODE.fullmatch(text):
        return text
    bare = _bare(text).lower()
    if not _CODE.fullmatch(bare):
        raise _NoNormalForm("Latin letters, digits and . _ : / @ + # = * -, beginning with a letter or digit")
    return bare


def _qr(text: str) -> str:
    """A QR-code's own id is a code; a whole payload, also in a link, stays as it is, and its checksum must be right."""
    try:
        if (payload := payload_in(text)) is not None:
            return payload
        disguised = payload_in(_bare(text)) is not None  # nobody who scans a code would read it so
    except PayloadError as error:
        raise _NoNormalForm(str(error)) from None
    if disguised:
        raise _NoNormalForm("a QR payload as it was scanned, without other blanks and invisible characters")
    if len(text) > MAX_LENGTH:
        raise _NoNormalForm(f"a QR-code's id of 1 to {MAX_LENGTH} characters, or a QR payload")
    return _code(text)


class _Phone:
    """A phone number in the form of E.164; without a country it is a number of the operator's own."""

    def __init__(self, code: str, trunk: str, length: int) -> None:
        self._code, self._trunk, self._length = code, trunk, length
        # no two countries' codes begin alike, so every number under the own code has the own length
        self._canonical = re.compile(rf"\+(?:{code}[0-9]{{{length}}}|(?!{code})[1-9][0-9]{{7,14}})")

    def __call__(self, text: str) -> str:
        if self._canonical.fullmatch(text):
            return text
        # digits of any script count as digits: full-width and Arabic-Indic numbers are the same phone
        plain = text.isascii() and text.isdigit()
        bare = text if plain else "".join(str(unicodedata.decimal(c, c)) for c in _bare(text))
        digits = text if plain else re.sub(r"[-().\u2010-\u2015\u2212]", "", bare)
        if not re.fullmatch(r"\+?[0-9]+", digits):
            raise _NoNormalForm("a phone number: digits, optionally with + ( ) - . and blanks")
        number = "+" + self._international(digits)
        # +44 (0) 20: only the brackets tell that another country's trunk prefix is not part of the number
        if not self._canonical.fullmatch(number) or ("(0)" in bare and not number.startswith("+" + self._code)):
            raise _NoNormalForm(
                f"+{self._code} and {self._length} digits, or + and 8 to 15 digits of another country without its trunk prefix"
            )
        return number

    def may_be(self, digits: str) -> bool:
        """Whether digits alone can be a number: most that cannot are told without an error that somebody catches."""
        return len(digits) == self._length or digits.startswith((self._trunk, self._code))

    def _international(self, digits: str) -> str:
        """Country and number of: + or 00 and both, the own country without either, or a national number."""
        own, trunk = self._code, self._trunk
        if digits.startswith(("+", "00")):
            digits = digits[1:] if digits[0] == "+" else digits[2:]
        elif len(digits) == self._length or (digits.startswith(trunk) and len(digits) == len(trunk) + self._length):
            digits = own + digits
        else:
            digits = digits.removeprefix(trunk)
            if not digits.startswith(own):
                raise _NoNormalForm(f"+ and the country's code, or a national number of {self._length} digits")
        national = digits.removeprefix(own)
        if digits.startswith(own) and len(national) == len(trunk) + self._length:
            return own + national.removeprefix(trunk)
        return digits


class _Card:
    """A card's token: its number hashed under a secret."""

    def __init__(self, key: bytes) -> None:
        self._inner, self._outer = _begun(key, 0x36), _begun(key, 0x5C)

    def __call__(self, text: str) -> str:
        if _CARD_TOKEN.fullmatch(text):
            return text
        if text.isascii() and text.isdigit():
            digits = text
        else:
            bare = _bare(text).lower()
            if _CARD_TOKEN.fullmatch(bare):
                return bare
            digits = re.sub(r"[-\u2010-\u2015]", "", bare)
        if not (_CARD_NUMBER.fullmatch(digits) and _passes_luhn(digits)):
            raise _NoNormalForm("a card number of 12 to 19 digits with a right check digit, or card- and 32 hex digits")
        return self.token(digits)

    def token(self, digits: str) -> str:
        """Of a right number, digits alone: HMAC by SHA-256, in 1.0 us where the library's takes 2.9 for each number to begin with the key."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(digits.encode())
        outer.update(inner.digest())
        return "card-" + outer.hexdigest()[:32]


def _begun(key: bytes, pad: int) -> "hashlib._Hash":
    """One of the two hashes of an HMAC, which has read its key (RFC 2104)."""
    block = key if len(key) <= 64 else hashlib.sha256(key).digest()
    return hashlib.sha256(bytes(byte ^ pad for byte in block.ljust(64, b"\0")))


_DOUBLED = bytes(48 + sum(divmod(2 * (byte - 48), 10)) if 48 <= byte < 58 else 0 for byte in range(256))
"""The digit that Luhn's check counts for each second one; digits in ASCII are 48 more than they are."""


def _passes_luhn(digits: str) -> bool:
    plain = digits.encode()
    return (sum(plain[-1::-2]) + sum(plain[-2::-2].translate(_DOUBLED)) - 48 * len(plain)) % 10 == 0


_PLAIN_NAME = re.compile(r"[!#-&(-@\[-_a-~]+(?: [!#-&(-@\[-_a-~]+)*")
"""Lower-case ASCII words without quotes: their own normal form."""
_QUOTES = frozenset("\"'`\u02b9\u02ba\u02bb\u02bc\u02bd\u2032\u2035\u201a\u201e")
_HAIR_SPACE = re.compile("[\u2006\u2008-\u200a\u202f]")
_LATIN = frozenset("abcdefghijklmnopqrstuvwxyzæøðþđħłŋœə")
_CYRILLIC = frozenset("абвгдеёжзийклмнопрстуфхцчшщъыьэюяңөүәғқұһіҳҷӣӯґєїўђјљњћџѓќѕҗ")
"""Letters of living languages, accents apart; rarer ones, such as phonetic signs, look like these."""
_LATIN_DOUBLES = str.maketrans("авекмнорстухүһіјѕә", "abekmhopctyxyhijsə")
"""Cyrillic letters that look like a Latin one, as capitals or as small letters."""


def _name(text: str) -> str:
    if _PLAIN_NAME.fullmatch(text):
        return text
    if _HAIR_SPACE.search(text):
        raise _NoNormalForm("a name with blanks of full width: a hair's breadth may or may not part two words")
    # NFKC again after casefold: folding can leave a form that normalises further, and a normal form must stay
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    plain = "".join(map(_plain, folded.replace("i\u0307", "i")))
    name = " ".join(map(_word, unicodedata.normalize("NFKC", plain).split()))
    if not 0 < len(name) <= MAX_LENGTH:
        raise _NoNormalForm(f"a name of 1 to {MAX_LENGTH} visible characters")
    return name


def _plain(c: str) -> str:
    """One character of a name: blanks, dashes and digits in their plain form; quotes and what is invisible gone."""
    category = unicodedata.category(c)
    if category[0] == "Z" or c in "\t\n\v\f\r":
        return " "
    if category[0] == "C" or category in ("Pi", "Pf") or c in _QUOTES:
        return ""
    if category == "Pd" or c == "\u2212":
        return "-"
    return "i" if c == "ı" else str(unicodedata.decimal(c, c))


def _word(word: str) -> str:
    """A word of one script; one whose every Cyrillic letter looks Latin is the Latin word that it looks like."""
    scripts = _scripts(word)
    if len(scripts) > 1 or None in scripts:
        raise _NoNormalForm("words of one script each, Latin, Cyrillic or Chinese, with ASCII digits and signs")
    latin = unicodedata.normalize("NFC", unicodedata.normalize("NFD", word).translate(_LATIN_DOUBLES))
    return latin if _scripts(latin) == {"LATIN"} else word


def _scripts(word: str) -> set[str | None]:
    """The scripts of a word's letters, None for a sign or a letter that names are not written in."""
    return {_script(c) for c in word if c.isalpha() or not c.isascii()}


def _script(letter: str) -> str | None:
    if unicodedata.normalize("NFD", letter)[0] in _LATIN:
        return "LATIN"
    if letter in _CYRILLIC:
        return "CYRILLIC"
    return "CJK" if unicodedata.name(letter, "").startswith("CJK UNIFIED") else None


def _country(text: str) -> str:
    if text in COUNTRIES:
        return text
    bare = _bare(text)
    if not bare.isascii() or bare.upper() not in COUNTRIES:  # the capitals of a sharp s are SS
        raise _NoNormalForm("an ISO 3166-1 code of two letters, such as KG")
    return bare.upper()


_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?!\Z)|\Z)){4}")


def _ip(text: str) -> str:
    if _IPV4.fullmatch(text):
        return text
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
    # hexadecimal and SegWit addresses ignore case, and so may one all in capitals; base58 addresses (Bitcoin, Tron) do not
    if _HEXADECIMAL.fullmatch(bare):
        return "0x" + bare.lower().removeprefix("0x")
    if _TRON.fullmatch(bare) and not bare.isupper():  # one that begins with TB1 is no SegWit address of the test network
        return bare
    return bare.lower() if _SEGWIT.fullmatch(bare) or bare.isupper() else bare


COUNTRIES = frozenset(
    """AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA
    CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB
    GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG
    KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV
    MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB
    SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US
    UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW""".split()  # noqa: SIM905 one word a line would fill five pages
)
"""ISO 3166-1 alpha-2."""


def masked(value: str) -> str:
    """For logs: the last four characters at most, and never more than a third of the value."""
    shown = min(4, len(value) // 3)
    return "*" * 4 + value[len(value) - shown :]


def masked_key(key: str) -> str:
    """A key of an account or a customer, `customer_id:c1001`, for logs: its kind, and the value masked."""
    kind, _, value = key.partition(":")
    return f"{kind.removesuffix('_id')} {masked(value)}"
