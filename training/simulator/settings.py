"""What a simulated world is asked to be."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from domain import instants
from domain.errors import SettingsError


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """The same settings give the same files, byte for byte.

    customers, days, start: how many live in the world, for how long, and since when (aware).
    fraud_share: wished share of operations made by fraud actors; every scheme runs once at least, so that in a very small
    world the share is higher; 0 is a world without fraud.
    habitual_share: of fraud, drawn from the victim's own habits, so that nothing in the stream tells it.
    unreported_share: of fraud, never reported by anyone. verified_share: of legitimate operations, found legitimate.
    wrong_share: of legitimate operations, reported as fraud by mistake. late_share: of operations, arriving late.
    """

    seed: int = 1
    customers: int = 3000
    days: int = 75
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    fraud_share: float = 0.007
    habitual_share: float = 0.15
    unreported_share: float = 0.2
    verified_share: float = 0.02
    wrong_share: float = 0.0002
    late_share: float = 0.003

    def __post_init__(self) -> None:
        _within("seed", self.seed, 0, 2**63 - 1)
        _within("customers", self.customers, 100, 1_000_000)
        _within("days", self.days, 7, 3660)
        for name, most in _SHARES.items():
            _within(name, getattr(self, name), 0, most)
        if self.start.tzinfo is None or not instants.EARLIEST <= self.start <= _LAST_START:
            raise SettingsError(f"start: seen {self.start}, allowed an aware instant between 2000 and 2100")

    @property
    def span(self) -> "Span":
        """The simulated time."""
        start = instants.to_ms(self.start)
        return Span(start, instants.to_ms(self.start + timedelta(days=self.days)))


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open interval [start, end) in UTC milliseconds."""

    start: int
    end: int

    @property
    def days(self) -> int:
        """Whole days."""
        return (self.end - self.start) // instants.DAY


_LAST_START = datetime(2100, 1, 1, tzinfo=UTC)
_SHARES = {
    "fraud_share": 0.2,
    "habitual_share": 0.9,
    "unreported_share": 1.0,
    "verified_share": 1.0,
    "wrong_share": 0.1,
    "late_share": 0.5,
}


def _within(name: str, seen: float, least: float, most: float) -> None:
    if not least <= seen <= most:
        raise SettingsError(f"{name}: seen {seen}, allowed {least} to {most}")
