"""Identifiers in their normal form (domain.identifiers), drawn in one block for good and bad alike, so that none tells.

Addresses of the internet are taken from ranges that are reserved for documentation, tests and carriers' own networks.
"""

import numpy as np

from training.simulator.draft import Ints

_BASE58 = np.array(list("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"))


def numbers(rng: np.random.Generator, count: int, digits: int, prefix: str = "") -> list[str]:
    """Distinct codes of a prefix and `digits` digits, in no order."""
    drawn = rng.choice(10**digits, count, replace=False)
    return [f"{prefix}{number:0{digits}d}" for number in drawn.tolist()]


def hexes(rng: np.random.Generator, count: int, digits: int, prefix: str = "") -> list[str]:
    """Codes of a prefix and `digits` hexadecimal digits; distinct by their length."""
    text = rng.bytes(count * digits // 2).hex()
    return [prefix + text[row * digits : (row + 1) * digits] for row in range(count)]


def cards(rng: np.random.Generator, count: int) -> list[str]:
    """Hashed card numbers."""
    return hexes(rng, count, 32, "card-")


def phones(rng: np.random.Generator, count: int, network: str) -> list[str]:
    """Mobile numbers of the Kyrgyz Republic; network: first digit, so that two blocks have no number in common."""
    return numbers(rng, count, 8, f"+996{network}")


def virtual_asset_addresses(rng: np.random.Generator, count: int) -> list[str]:
    """Half in the form of Tron, half in the form of Ethereum."""
    letters = _BASE58[rng.integers(0, len(_BASE58), (count, 33))]
    tron = ["T" + "".join(row) for row in letters.tolist()]
    ether = hexes(rng, count, 40, "0x")
    return [ether[row] if flag else tron[row] for row, flag in enumerate((rng.random(count) < 0.5).tolist())]


def home_ips(rng: np.random.Generator, count: int) -> list[str]:
    """Of the country's own providers: 100.64.0.0/10."""
    return _ips(rng, count, 100, 64, 128)


def foreign_ips(rng: np.random.Generator, count: int) -> list[str]:
    """Of providers abroad: 198.18.0.0/15."""
    return _ips(rng, count, 198, 18, 20)


def vpn_ips(rng: np.random.Generator, count: int) -> list[str]:
    """Exits of virtual private networks: 203.0.113.0/24."""
    return [f"203.0.113.{last}" for last in rng.integers(1, 255, count).tolist()]


def picked(rng: np.random.Generator, pool: Ints, count: int) -> Ints:
    """Different members of a pool where it is large enough."""
    return rng.choice(pool, count, replace=count > len(pool))


def _ips(rng: np.random.Generator, count: int, first: int, low: int, high: int) -> list[str]:
    middle, rest = rng.integers(low, high, count).tolist(), rng.integers(1, 255, (count, 2)).tolist()
    return [f"{first}.{second}.{third}.{fourth}" for second, (third, fourth) in zip(middle, rest, strict=True)]
