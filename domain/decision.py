"""The decision: what is answered and what is kept about it (R28, R38)."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from domain.criteria import FraudCriterion
from domain.levels import Action


class Layer(StrEnum):
    """Which part of the way spoke."""

    REGISTRY = "registry"
    BASIC = "basic"
    SCORE = "score"
    RULES = "rules"
    SYSTEM = "system"
    CONTROL = "control"


class Degraded(StrEnum):
    """A step of degrading that the answer states; each one leads to verification at least, never to low."""

    NO_MODEL = "no_model"
    NO_FEATURES = "no_features"
    RULE_FAILED = "rule_failed"
    NO_PROFILES = "no_profiles"
    STALE_PROFILES = "stale_profiles"
    DEADLINE = "deadline"


class Reason(Struct, frozen=True, omit_defaults=False):
    """One reason: the layer, its code (a rule's id, a list's name), the criterion it serves, and a sentence."""

    layer: Layer
    code: str
    criterion: FraudCriterion | None
    text: str


_ASKED_BY_SCORE = {"score_medium", "score_high"}


def asks(layer: Layer, code: str) -> bool:
    """Whether a reason asks for more than low. Of the score's, the level does; what explains the score asks for nothing by itself."""
    return layer is not Layer.SCORE or code in _ASKED_BY_SCORE


class Decision(Struct, frozen=True):
    """The answer to one operation, exactly as it is sent and stored.

    score: calibrated fraud probability or None without a model; model, policy: the versions that spoke; case_id: the
    verification to which the operation goes, None when the level is low; sequence: its place in the ledger.
    """

    operation_id: str
    level: Annotated[str, Meta(pattern="^(low|medium|high)$", description="low, medium or high")]
    action: Action
    score: Annotated[float, Meta(ge=0, le=1)] | None
    reasons: tuple[Reason, ...]
    degraded: tuple[Degraded, ...]
    model: str | None
    policy: str
    case_id: str | None
    decided_at: datetime
    sequence: Annotated[int, Meta(ge=1)]

    @property
    def asked(self) -> tuple[Layer, ...]:
        """The layers that asked for more than low; the lot of the control share asks for nothing."""
        spoke = {reason.layer for reason in self.reasons if asks(reason.layer, reason.code)}
        return tuple(layer for layer in Layer if layer in spoke - {Layer.CONTROL})
