"""How an arrival is laid out as integers: the words of an input row, the facts about it, the columns of the log.

An arrival is an operation, an event or an outcome. Everything that the kernel reads is in one row of int64, so that history
and a live call hand it the same thing.
"""

from enum import IntEnum, IntFlag

MISSING = -(2**63)
"""No value: an identifier that was not given."""


HOME_COUNTRY = "KG"
"""A recipient elsewhere is foreign."""
ZONE_NAME = "Asia/Bishkek"
"""Habits of hour and weekday are read on the operator's clock."""


class Slot(IntEnum):
    """The entities that an arrival belongs to. SENDER and RECIPIENT are one space: an account is one entity (R72, R73)."""

    SENDER = 0
    RECIPIENT = 1
    CUSTOMER = 2
    DEVICE = 3
    ADDRESS = 4
    AGENT = 5
    EMPLOYEE = 6
    LIKENESS = 7


SLOTS = len(Slot)


def space_of(slot: int) -> int:
    """The space of entity keys of a slot; the kernel compiles this very function."""
    return max(0, slot - 1)


SPACES = len({space_of(slot) for slot in Slot})


class Column(IntEnum):
    """Values that can be counted as distinct, new or habitual; below SLOTS: the entity of that slot."""

    SENDER = 0
    RECIPIENT = 1
    CUSTOMER = 2
    DEVICE = 3
    ADDRESS = 4
    AGENT = 5
    EMPLOYEE = 6
    LIKENESS = 7
    CATEGORY = 8
    FUNDING = 9
    COUNTRY = 10
    LOGIN_METHOD = 11
    AUTHORISATION_METHOD = 12
    RECIPIENT_COUNTRY = 13
    KIND = 14
    HOUR = 15
    WEEKDAY = 16


class Fact(IntFlag):
    """What is true of an arrival; a filter needs some facts and excludes others."""

    OPERATION = 1 << 0
    SENDING = 1 << 1
    RECEIVING = 1 << 2
    FRAUD_KNOWN = 1 << 3
    GENUINE_KNOWN = 1 << 4
    LOGIN_SUCCEEDED = 1 << 5
    LOGIN_FAILED = 1 << 6
    CONTACT_CHANGED = 1 << 7
    DEVICE_ENROLLED = 1 << 8
    LOGIN_METHOD_CHANGED = 1 << 9
    AUTHORISATION_METHOD_CHANGED = 1 << 10
    OPERATION_RETURNED = 1 << 11
    OPERATION_CANCELLED = 1 << 12
    FOREIGN = 1 << 13
    VPN = 1 << 14
    DEVICE_GIVEN = 1 << 15
    CASH = 1 << 16
    TOP_UP = 1 << 17
    VIRTUAL_ASSET = 1 << 18


class Word(IntEnum):
    """The words of an input row. Times in ms, the amount in reference tyiyn, keys and values as 64-bit hashes or MISSING."""

    TIME = 0
    ZONE_OFFSET = 1
    AMOUNT = 2
    FACTS = 3
    KIND = 4
    SENDER = 5
    RECIPIENT = 6
    CUSTOMER = 7
    DEVICE = 8
    ADDRESS = 9
    AGENT = 10
    EMPLOYEE = 11
    CATEGORY = 12
    FUNDING = 13
    COUNTRY = 14
    LOGIN_METHOD = 15
    AUTHORISATION_METHOD = 16
    RECIPIENT_COUNTRY = 17


WORDS = len(Word)
