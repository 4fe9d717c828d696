"""Time: aware at the edge, UTC milliseconds inside."""

from datetime import UTC, datetime, timedelta

from domain.errors import InputError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
"""Lengths in milliseconds."""

_MILLISECOND = timedelta(milliseconds=1)


def to_ms(instant: datetime) -> int:
    """Whole milliseconds since 1970-01-01 UTC, rounded down; the instant must be aware."""
    return (instant - EPOCH) // _MILLISECOND


def from_ms(ms: int) -> datetime:
    """The aware UTC instant of a number of milliseconds."""
    return EPOCH + ms * _MILLISECOND


def in_utc(instant: datetime, field: str) -> datetime:
    """An aware instant in UTC; InputError where it has none, such as the first hours of the year 1 east of Greenwich."""
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise InputError(field, instant.isoformat(), "an instant of the years 1 to 9999 in UTC") from None


def canonical(instant: datetime, field: str, latest: datetime) -> datetime:
    """The instant in UTC, cut to the millisecond; InputError outside 2000-01-01 .. `latest`."""
    if instant.tzinfo is not UTC:
        try:
            instant = instant.astimezone(UTC)
        except OverflowError:
            raise InputError(field, instant.isoformat(), f"{EARLIEST.isoformat()} to now") from None
    if not EARLIEST <= instant <= latest:
        raise InputError(field, instant.isoformat(), f"{EARLIEST.isoformat()} to {latest.isoformat(timespec='seconds')}")
    return instant if instant.microsecond % 1000 == 0 else from_ms(to_ms(instant))


def parse_day_or_instant(text: str) -> datetime:
    """`2018-08-08` (midnight UTC) or an aware ISO 8601 instant; InputError otherwise."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise InputError("time", text, "a day as 2018-08-08, or an ISO 8601 instant with its offset") from None
    if instant.tzinfo is None and len(text) > 10:
        raise InputError("time", text, "an instant with its offset, such as 2018-08-08T12:00:00+06:00")
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else in_utc(instant, "time")
