"""Operations and events while they are made: rows of integers that name parties, devices and places by their row."""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Rows = NDArray[np.void]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

NOBODY = -1
"""A reference that names nothing."""

CURRENCIES = ("KGS", "USD", "RUB", "KZT")
KGS, USD, RUB, KZT = range(4)

LOGIN_METHODS = ("pin", "biometric", "password")
AUTHORISATION_METHODS = ("push", "sms_code", "biometric", "pin")


class Channel(IntEnum):
    """Where an operation was made; it decides which device and access stand in it."""

    HOST = 0  # between organisations, at a cash machine or a till: no device of a customer
    APPLICATION = 1
    AGENT = 2
    BRANCH = 3


_NAMED = (
    "customer",
    "sender",
    "recipient",
    "device",
    "place",
    "login",
    "authorisation",
    "agent",
    "employee",
    "session",
    "scheme",
    "story",
)
OPERATION = np.dtype(
    [
        ("occurred", np.int64),
        ("minor", np.int64),
        ("kind", np.int8),
        ("currency", np.int8),
        ("channel", np.int8),
        ("habitual", np.bool_),
        *((name, np.int64) for name in _NAMED),
    ]
)
"""customer: who acts, or whose habits decide; scheme, story: the fraud actor's, NOBODY for a legitimate operation."""

_NAMED_IN_EVENTS = ("customer", "device", "place", "login", "authorisation", "employee", "session", "operation")
EVENT = np.dtype(
    [
        ("occurred", np.int64),
        ("type", np.int8),
        *((name, np.int64) for name in _NAMED_IN_EVENTS),
    ]
)
"""operation: row of the returned or cancelled operation among all operations."""


def operations(count: int, **columns: ArrayLike) -> Rows:
    """`count` drafted operations; a reference that is not given is NOBODY, an amount that is not given is in som."""
    return _filled(np.zeros(count, OPERATION), dict.fromkeys(_NAMED, NOBODY) | columns)


def events(count: int, **columns: ArrayLike) -> Rows:
    """`count` drafted events; what is not given is NOBODY."""
    return _filled(np.zeros(count, EVENT), dict.fromkeys(_NAMED_IN_EVENTS, NOBODY) | columns)


def joined(parts: list[Rows], like: np.dtype[np.void]) -> Rows:
    """All rows one after the other; no rows when there are no parts."""
    return np.concatenate([np.zeros(0, like), *parts])


@cache
def code(member: StrEnum) -> int:
    """The place of a word in its enumeration, as drafts hold it."""
    return list(type(member)).index(member)


def _filled(rows: Rows, columns: Mapping[str, ArrayLike]) -> Rows:
    for name, value in columns.items():
        rows[name] = value
    return rows
