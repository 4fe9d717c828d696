"""What the routes answer beside the decision, as types: for the description of the interface and for the client."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from domain.criteria import FraudCriterion
from domain.decision import Decision
from domain.operation import Operation

Probability = Annotated[float, Meta(ge=0, le=1)]


class Alive(Struct, frozen=True):
    """The process answers."""

    status: Literal["alive"]


class Readiness(Struct, frozen=True, omit_defaults=True):
    """Whether records are taken: status 200 and `ready`, or 503.

    checks: which of them hold, by name; behind: entries that a standby has yet to take; profiles: the newest local day at hand,
    null for none, absent where the model reads none.
    """

    status: Literal["ready", "not_ready", "recovering", "standby", "draining"]
    checks: dict[str, bool]
    behind: int | None = None
    profiles: str | None = None


class Hit(Struct, frozen=True):
    """An entry of the registry that an operation met: in which field, on which list."""

    field: str
    list: str
    entry_id: int


class Failed(Struct, frozen=True):
    """A rule that failed, and with what."""

    rule: str
    error: str


class ControlShare(Struct, frozen=True):
    """The level without the lot, and the probability, before it was drawn, that such an operation is stopped."""

    would_be: str
    propensity: Probability


class UsedProfiles(Struct, frozen=True):
    """The profiles that an operation was compared with: the day due, the day used, its snapshot, its age in seconds."""

    due: str
    day: str | None
    snapshot: str | None
    age_s: int | None


class Evidence(Struct, frozen=True, omit_defaults=True):
    """What beside reasons and features is kept of a decision; a release may keep more, and older decisions have less.

    declarations: hash of the features' declarations; behaviour: of the part before the profiles, where the model reads profiles;
    shadow: rules in shadow that would have spoken.
    """

    declarations: str
    limit_tyiyn: int
    registry: list[Hit]
    shadow: list[str]
    failed: list[Failed]
    control: ControlShare | None = None
    behaviour: str | None = None
    profiles: UsedProfiles | None = None


class StoredOperation(Struct, frozen=True):
    """An operation in normal form with what was decided about it.

    features: the vector by name, without names where other declarations made it, null where there was none; decision and
    evidence: null for an operation that came in with a history.
    """

    sequence: Annotated[int, Meta(ge=1)]
    recorded_at: datetime
    operation: Operation
    decision: Decision | None
    features: dict[str, float | None] | list[float | None] | None
    evidence: Evidence | None


class CriterionPart(Struct, frozen=True):
    """What all features that serve a criterion add in log odds, and by how much they multiply the odds of fraud."""

    criterion: FraudCriterion
    words: str
    log_odds: float
    times: float


class FeaturePart(Struct, frozen=True):
    """What one feature adds in log odds, and by how much it multiplies the odds of fraud.

    value: as it was then, null for a missing one; criterion: what it is evidence for, null where the feature no longer runs.
    """

    feature: str
    value: float | None
    said: str
    criterion: FraudCriterion | None
    log_odds: float
    times: float


class Explanation(Struct, frozen=True):
    """A score and its parts: base_log_odds and the log odds of all features make log_odds, 1 / (1 + exp(-log_odds)) the score.

    base_log_odds: the mean over the operations of the training; criteria: the most raising first; features: those that moved the
    score, the strongest first, either way.
    """

    operation_id: str
    model: str
    score: Probability
    base_log_odds: float
    log_odds: float
    criteria: tuple[CriterionPart, ...]
    features: tuple[FeaturePart, ...]


Description = dict[str, Any]
"""An OpenAPI document."""
