"""How an arrival is laid out as integers: the words of an input row, the facts about it, the columns that can be followed.

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
NIGHT_ENDS = 6
"""The first hour of the day that is not night (R63)."""


class Slot(IntEnum):
    """The entities that an arrival belongs to. SENDER and RECIPIENT are one space: an account is one entity (R72, R73)."""

    SENDER = 0
    RECIPIENT = 1
    CUSTOMER = 2
    DEVICE = 3
    ADDRESS = 4
    AGENT = 5
    EMPLOYEE = 6


SLOTS = len(Slot)
"""Slots of every plan; a plan's groups follow them."""


def space_of(slot: int) -> int:
    """The space of entity keys of a slot: entities of one space are met in any of its slots."""
    return max(0, slot - 1)


class Column(IntEnum):
    """Values that can be followed: counted as distinct, new or habitual, or mixed into the key of a group.

    From KIND on they are small numbers, made from time, kind and amount; BAND is the bit length of the amount.
    """

    SENDER = 0
    RECIPIENT = 1
    CUSTOMER = 2
    DEVICE = 3
    ADDRESS = 4
    AGENT = 5
    EMPLOYEE = 6
    CATEGORY = 7
    FUNDING = 8
    COUNTRY = 9
    LOGIN_METHOD = 10
    AUTHORISATION_METHOD = 11
    RECIPIENT_COUNTRY = 12
    INSTITUTION = 13
    KIND = 14
    HOUR = 15
    WEEKDAY = 16
    BAND = 17
    SHIFTED_BAND = 18


SMALL_COLUMNS = {Column.KIND: 16, Column.HOUR: 24, Column.WEEKDAY: 7, Column.BAND: 48, Column.SHIFTED_BAND: 48}
"""Columns with few values, and how many."""


class Fact(IntFlag):
    """What is true of an arrival; a filter needs some facts and excludes others.

    The roles SENDING and RECEIVING and NIGHT are set by the kernel, the rest by the encoders; the facts of a kind are those of
    R46-R55. Bits from FIRST_MARK on are the marks that a plan puts on operations.
    """

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
    LOCATED = 1 << 16
    OTHER_INSTITUTION = 1 << 17
    NIGHT = 1 << 18
    BANK_ACCOUNT = 1 << 20
    MOBILE_APPLICATION = 1 << 21
    E_WALLET = 1 << 22
    QR_OR_CARD = 1 << 23
    DOMESTIC_TRANSFER = 1 << 24
    INTERNATIONAL_TRANSFER = 1 << 25
    VIRTUAL_ASSET_TRANSFER = 1 << 26
    CASH_WITHDRAWAL = 1 << 27
    TOP_UP = 1 << 28
    OTHER = 1 << 29


FIRST_MARK = 40
MAX_MARKS = 16


class Word(IntEnum):
    """The words of an input row. Times in ms, the amount in reference tyiyn, keys and values as 64-bit hashes or MISSING.

    Coordinates are in millionths of a degree, or MISSING.
    """

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
    INSTITUTION = 18
    LATITUDE = 19
    LONGITUDE = 20


LANES = 8
"""Words that are compared or added to together: a cache line, and one register of AVX-512. What is looked at so is as long as so many
words go into it, or has room for as many behind it."""
WORDS = len(Word)
