"""The books in which drafted rows look up what they name: parties, places, devices."""

from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from domain.operation import Party
from training.simulator.draft import NOBODY, Flags, Floats, Ints

Words = list[str] | list[str | None] | str | None
"""One word for each row of a block, or the same for all."""

INSTRUMENTS = ("bank_account", "card", "cash", "wallet", "mobile_balance")


class Tool(IntEnum):
    """With what a party tops up, as INSTRUMENTS names it."""

    ACCOUNT = 0
    CARD = 1
    CASH = 2
    WALLET = 3
    MOBILE = 4


_SOURCE_FIELD = {
    Tool.ACCOUNT: "account",
    Tool.CARD: "card",
    Tool.CASH: "service",
    Tool.WALLET: "wallet",
    Tool.MOBILE: "phone",
}


class PartyBook:
    """Every party of the world, a row each; grows in blocks.

    owner: row of the customer or NOBODY; category: MCC of a merchant, NOBODY for others; tool: what he tops up with.
    """

    def __init__(self) -> None:
        self._words: dict[str, list[str | None]] = {name: [] for name in (*Party.__struct_fields__, "source")}
        self.owner: Ints = np.zeros(0, np.int64)
        self.category: Ints = np.zeros(0, np.int64)
        self.tool: Ints = np.zeros(0, np.int64)

    def add(
        self,
        count: int,
        owner: ArrayLike = NOBODY,
        category: ArrayLike = NOBODY,
        tool: Tool = Tool.ACCOUNT,
        **identifiers: Words,
    ) -> Ints:
        """Rows of `count` new parties with these identifiers."""
        first = len(self.owner)
        for name, column in self._words.items():
            column.extend(_block(count, identifiers.get(_SOURCE_FIELD[tool] if name == "source" else name)))
        self.owner = np.append(self.owner, np.broadcast_to(owner, count))
        self.category = np.append(self.category, np.broadcast_to(category, count))
        self.tool = np.append(self.tool, np.broadcast_to(int(tool), count))
        return np.arange(first, first + count)

    def words(self, field: str, rows: Ints) -> pa.Array:
        """An identifier of the named parties; null where they have none."""
        return looked_up(self._words[field], rows)


class PlaceBook:
    """Where devices are: network address, country, degrees (WGS 84), and whether a VPN hides it."""

    def __init__(self) -> None:
        self._words: dict[str, list[str | None]] = {"ip": [], "country": []}
        self.latitude: Floats = np.zeros(0)
        self.longitude: Floats = np.zeros(0)
        self.vpn: Flags = np.zeros(0, np.bool_)

    def add(self, ip: list[str], country: Words, latitude: Floats, longitude: Floats, vpn: bool = False) -> Ints:
        """Rows of new places, one for each address."""
        first, count = len(self.vpn), len(ip)
        self._words["ip"] += ip
        self._words["country"] += _block(count, country)
        self.latitude = np.append(self.latitude, latitude)
        self.longitude = np.append(self.longitude, longitude)
        self.vpn = np.append(self.vpn, np.full(count, vpn))
        return np.arange(first, first + count)

    def words(self, field: str, rows: Ints) -> pa.Array:
        """`ip` or `country` of the named places."""
        return looked_up(self._words[field], rows)


class DeviceBook:
    """Devices: their id, the application on them, and whether it may read the position."""

    def __init__(self) -> None:
        self._words: dict[str, list[str | None]] = {"id": [], "application": []}
        self.positioned: Flags = np.zeros(0, np.bool_)

    def add(self, ids: list[str], application: Words, positioned: Flags) -> Ints:
        """Rows of new devices."""
        first = len(self.positioned)
        self._words["id"] += ids
        self._words["application"] += _block(len(ids), application)
        self.positioned = np.append(self.positioned, positioned)
        return np.arange(first, first + len(ids))

    def words(self, field: str, rows: Ints) -> pa.Array:
        """`id` or `application` of the named devices."""
        return looked_up(self._words[field], rows)


def looked_up(words: Any, rows: Ints) -> pa.Array:
    """The words of the rows as an Arrow column; null for NOBODY."""
    return pa.array(words, pa.string()).take(pa.array(rows, pa.int64(), mask=rows < 0))


def _block(count: int, words: Words) -> list[str | None]:
    return list(words) if isinstance(words, list) else [words] * count
