"""QR payloads of merchants and people (EMVCo, merchant-presented; the Kyrgyz national standard after it): what they say is read (R42).

A payload is fields of two digits of tag, two of length, and so many characters; 26 to 51 and 62 hold such fields in turn, the last one, 63,
is a checksum: CRC-16 of everything before its value (EMVCo), or the end of SHA-256 of everything before the field (Kyrgyz banks).
"""

import binascii
import hashlib
import re
from collections.abc import Iterator
from urllib.parse import unquote

LONGEST = 512
"""Characters that a payload may have."""
LONGEST_SIGN = 3
"""Characters of the signs of a payload, such as whether the amount may be changed; no account is so short."""
_BEGIN = re.compile(r"(?<![0-9A-Za-z])000201(?=[0-9]{4})")
_ENDING = re.compile(r"6304[0-9A-Fa-f]{4}\Z")
_TEMPLATES = {f"{tag:02}" for tag in range(26, 52)} | {"62"}
MERCHANT_NAME = "59"
TERMINAL = "62.07"
"""Paths of fields that say who is paid and where."""


class PayloadError(ValueError):
    """Says what is allowed."""


def payload_in(text: str) -> str | None:
    """The payload that a text is or, as the part of a link, ends with, percent signs decoded; None for a text without one.

    PayloadError for one that is cut, changed, or longer than `LONGEST`.
    """
    decoded = unquote(text.strip())
    if (begin := _BEGIN.search(decoded)) is None:
        return None
    payload = decoded[begin.start() :]
    if len(payload) > LONGEST:
        raise PayloadError(f"a QR payload of up to {LONGEST} characters")
    if not _ENDING.search(payload) or not _is_right(payload):
        raise PayloadError("a QR payload with its own checksum at its end (tag 63)")
    dict(fields(payload))
    return payload


def fields(payload: str) -> Iterator[tuple[str, str]]:
    """Every field as (path, value), such as `32.10`; PayloadError where lengths do not fit or a tag stands twice."""
    for tag, value in _parted(payload):
        if tag in _TEMPLATES:
            yield from ((f"{tag}.{inner}", held) for inner, held in _parted(value))
        else:
            yield tag, value


def accounts(payload: str) -> list[str]:
    """What a right payload says of the account that is paid: of cards, telephones, accounts, bills; without the schemes' own names."""
    told = [
        value for path, value in fields(payload)
        if "02" <= path < "26" or ("26" <= path < "52" and not path.endswith(".00")) or path in ("62.01", "62.02", "62.05")
    ]  # fmt: skip
    return [value for value in dict.fromkeys(told) if len(value) > LONGEST_SIGN]


def _parted(text: str) -> Iterator[tuple[str, str]]:
    place, seen = 0, set()
    while place < len(text):
        tag, length = text[place : place + 2], text[place + 2 : place + 4]
        if not (tag.isascii() and tag.isdigit() and length.isascii() and length.isdigit() and len(length) == 2):
            raise PayloadError("a QR payload of fields: two digits of tag, two of length")
        value = text[place + 4 : place + 4 + int(length)]
        if len(value) != int(length) or tag in seen:
            raise PayloadError("a QR payload whose fields fit their lengths, each tag once")
        seen.add(tag)
        yield tag, value
        place += 4 + int(length)


def _is_right(payload: str) -> bool:
    said = payload[-4:].lower()
    crc = f"{binascii.crc_hqx(payload[:-4].encode(), 0xFFFF):04x}"
    return said in (crc, hashlib.sha256(payload[:-8].encode()).hexdigest()[-4:])
