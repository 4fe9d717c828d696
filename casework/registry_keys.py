"""By what an entry is found: 16 bytes of a hash, made once when it is listed and made again of what is asked.

An entry of a kind that names money is found by its letters and digits alone, so that it is met in the field of another kind; every
other by its kind and value. Two values of a billion share 16 bytes with a chance of one in 10**20, and nobody can make one that
shares those of another, so what is found is not compared with the value.
"""

import struct
from datetime import datetime
from hashlib import blake2b

import numpy as np

from domain.identifiers import IdentifierKind
from domain.listing import List

MONEY_KINDS = frozenset((
    IdentifierKind.ACCOUNT, IdentifierKind.WALLET, IdentifierKind.CARD, IdentifierKind.PHONE, IdentifierKind.QR,
    IdentifierKind.VIRTUAL_ASSET_ADDRESS,
))  # fmt: skip
"""Kinds that say where money goes to or comes from; one may stand in the field of another."""
SHORTEST = 9
"""Letters and digits from which on a value names the same thing in another field; shorter codes are each kind's own."""
CODES = {
    kind: code
    for code, kind in enumerate(
        (
            "customer", "account", "wallet", "card", "phone", "service", "institution", "country", "qr", "virtual_asset_address",
            "device", "ip", "session", "agent", "employee",
        )
    )
}  # fmt: skip
"""The number of each kind in what is stored: never another one."""
LISTS = (List.PROHIBITED, List.WATCHED)
"""By the number of each list in what is stored."""
STORED = np.dtype([("high", "<u8"), ("low", "<u8"), ("own", "<u4"), ("begins", "<u4"), ("ends", "<u4"), ("kind", "u1"), ("list", "u1")])  # fmt: skip
"""What is stored of an entry beside its words (`look_up`). own: of kind and value; begins, ends: seconds since 1970, [begins, ends)."""
FOREVER = 2**32 - 1
_SIGNS = dict.fromkeys(code for code in range(128) if not chr(code).isalnum())
_PACKED = struct.Struct("<QQIIIBB")
_HALVES = struct.Struct("<QQ").unpack


Key = tuple[int, int]
"""The two halves of the 16 bytes."""


def bare(value: str) -> str:
    """Letters and digits alone: what is left when separators, blanks and a leading + are not looked at."""
    letters = value if value.isalnum() else value.translate(_SIGNS)
    return (letters if letters.isalnum() else "".join(filter(str.isalnum, letters))).lower()


def own_key(kind: IdentifierKind, value: str) -> Key:
    """Of a kind and a value."""
    return _key(f"{kind}\0{value}")


def bare_key(letters: str) -> Key:
    """Of letters and digits, whatever the kind."""
    return _key(f"\0{letters}")


def own_check(kind: IdentifierKind, value: str) -> int:
    """32 bits of kind and value: which of the entries with the same letters and digits is the very one."""
    return own_key(kind, value)[0] & 0xFFFFFFFF


def key_of_entry(kind: IdentifierKind, value: str) -> Key:
    """By what an entry is found."""
    if kind in MONEY_KINDS and len(letters := bare(value)) >= SHORTEST:
        return bare_key(letters)
    return own_key(kind, value)


def look_up(kind: IdentifierKind, value: str, list_: List, begins: datetime | None, ends: datetime | None) -> bytes:
    """What is stored of an entry for those who look for it, see `STORED`. begins, ends: aware, to the second; None for no bound."""
    high, low = key_of_entry(kind, value)
    since, until = 0 if begins is None else seconds(begins), FOREVER if ends is None else seconds(ends)
    return _PACKED.pack(high, low, own_check(kind, value), since, until, CODES[kind], LISTS.index(list_))


def seconds(moment: datetime) -> int:
    """Whole seconds since 1970, bounded by what is stored."""
    return min(max(int(moment.timestamp()), 0), FOREVER)


def _key(text: str) -> Key:
    return _HALVES(blake2b(text.encode(), digest_size=16).digest())
