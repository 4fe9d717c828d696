"""Risk levels, actions and the thresholds between them (para. 10-12, R28-R34)."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from domain.errors import ThresholdError


class RiskLevel(IntEnum):
    """LOW: safe (R29); MEDIUM: suspicious, to be verified (R30, R34); HIGH: fraudulent (R31). Ordered, so `max` combines."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2

    @property
    def word(self) -> str:
        """`low`, `medium` or `high`, as the answer says it."""
        return _WORDS[self]

    @property
    def action(self) -> "Action":
        """What follows from the level: approve, verify or reject."""
        return _ACTIONS[self]


class Action(StrEnum):
    """What the caller does with the operation."""

    APPROVE = "approve"
    VERIFY = "verify"
    REJECT = "reject"


# by number: a name of an Enum, and a look-up by one, are functions in Python
_WORDS = tuple(level.name.lower() for level in RiskLevel)
_ACTIONS = (Action.APPROVE, Action.VERIFY, Action.REJECT)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores at which an operation becomes medium and high risk (para. 10-12).

    medium, high: fraud probability, 0 < medium < high < 1; else ThresholdError.
    """

    medium: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.medium < self.high < 1:
            raise ThresholdError(f"seen medium {self.medium}, high {self.high}; allowed 0 < medium < high < 1")

    def level(self, score: float) -> RiskLevel:
        """A score on a threshold takes the higher level; NaN is refused, never low."""
        if not 0 <= score <= 1:
            raise ThresholdError(f"score {score} is not a probability")
        if score >= self.high:
            return RiskLevel.HIGH
        return RiskLevel.MEDIUM if score >= self.medium else RiskLevel.LOW
