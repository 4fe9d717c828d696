"""Money: an integer of minor units with its ISO 4217 code, and the one scale on which behaviour is compared.

Features add up amounts of one customer in several currencies, so they need one unit. Reference rates give it: tyiyn per
minor unit, fixed and part of the declarations' hash. They are a scale for behaviour, not a rate for accounting; fixed, so
that replaying history gives the same bits. Refused: the day's rate, which would make a vector depend on when it is computed.
"""

from typing import Annotated

from msgspec import Meta, Struct

from domain.errors import InputError

MAX_REFERENCE_TYIYN = 10**12
"""Largest amount of one operation, 10 billion som: bounds every sum over retained operations to 64 bits."""

REFERENCE_RATES: dict[str, tuple[int, int, int]] = {
    # code: (minor-unit exponent of ISO 4217, tyiyn numerator, denominator), rounded from the National Bank's October 2025 rates
    "KGS": (2, 1, 1),
    "USD": (2, 8745, 100),
    "EUR": (2, 10180, 100),
    "RUB": (2, 108, 100),
    "KZT": (2, 163, 1000),
    "UZS": (2, 72, 10000),
    "TJS": (2, 945, 100),
    "CNY": (2, 1228, 100),
    "TRY": (2, 208, 100),
    "GBP": (2, 11700, 100),
    "CHF": (2, 10980, 100),
    "AED": (2, 2381, 100),
    "INR": (2, 99, 100),
    "BYN": (2, 2570, 100),
    "GEL": (2, 3225, 100),
    "AMD": (2, 228, 1000),
    "AZN": (2, 5144, 100),
    "MNT": (2, 243, 10000),
    "KRW": (0, 612, 10),
    "JPY": (0, 5740, 100),
}


class Money(Struct, frozen=True, forbid_unknown_fields=True):
    """minor: amount in minor units (KGS: tyiyn), never a float; currency: ISO 4217 code with a reference rate."""

    minor: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)", description="three capital letters of ISO 4217")]

    def reference_tyiyn(self) -> int:
        """The amount on the reference scale, rounded down; InputError for an unknown currency or beyond the bound."""
        return reference_tyiyn(self.minor, self.currency)


def reference_tyiyn(minor: int, currency: str) -> int:
    """Minor units of `currency` on the reference scale; see `Money.reference_tyiyn`."""
    try:
        _, numerator, denominator = REFERENCE_RATES[currency]
    except KeyError:
        raise InputError("amount.currency", currency, f"one of {', '.join(sorted(REFERENCE_RATES))}") from None
    tyiyn = minor * numerator // denominator
    if not 0 <= tyiyn <= MAX_REFERENCE_TYIYN:
        raise InputError("amount.minor", minor, f"0 to the worth of {MAX_REFERENCE_TYIYN} tyiyn (10 billion som)")
    return tyiyn


def exponent(currency: str) -> int:
    """Decimal digits of the minor unit (KGS 2, JPY 0); InputError for an unknown currency."""
    if currency not in REFERENCE_RATES:
        raise InputError("currency", currency, f"one of {', '.join(sorted(REFERENCE_RATES))}")
    return REFERENCE_RATES[currency][0]
