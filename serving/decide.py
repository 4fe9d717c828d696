"""THE MAIN PATH: from what each layer said to the decision. A pure function that can be read aloud.

Registry first, then basic verification, then the score, then the rules; the highest level wins and every layer that spoke
is in the reasons. A part that failed leads to verification, never to low (R28-R34, R45, R96).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from casework.registry import Hit, List
from domain.criteria import FraudCriterion
from domain.decision import Degraded, Layer, Reason
from domain.levels import RiskLevel, Thresholds
from serving.rules import LEVELS, Outcome


@dataclass(frozen=True)
class Heard:
    """What the layers said of one operation. score: None when there is no model or no vector."""

    hits: tuple[Hit, ...]
    basic: tuple[Reason, ...]
    score: float | None
    thresholds: Thresholds | None
    rules: Outcome
    degraded: tuple[Degraded, ...] = ()


@dataclass(frozen=True)
class Assessment:
    """The level and why."""

    level: RiskLevel
    reasons: tuple[Reason, ...]
    degraded: tuple[Degraded, ...]


def decide(heard: Heard) -> Assessment:
    """The highest level that any layer gives."""
    said = [
        *_registry(heard.hits),
        *((RiskLevel.MEDIUM, reason) for reason in heard.basic),
        *_score(heard.score, heard.thresholds),
        *_rules(heard.rules),
        *_failures(heard.degraded, heard.rules),
    ]
    level = max((level for level, _ in said), default=RiskLevel.MEDIUM)
    degraded = (*heard.degraded, *((Degraded.RULE_FAILED,) if heard.rules.failed else ()))
    return Assessment(level, tuple(reason for _, reason in said), degraded)


Said = Sequence[tuple[RiskLevel, Reason]]


def _registry(hits: tuple[Hit, ...]) -> Said:
    """A prohibited identifier rejects, a watched one forces verification."""
    return [
        (
            RiskLevel.HIGH if hit.list is List.PROHIBITED else RiskLevel.MEDIUM,
            Reason(
                Layer.REGISTRY, f"registry_{hit.list}", FraudCriterion.SUSPICIOUS_RECIPIENT,
                f"{hit.field} is on the {hit.list} list (entry {hit.entry_id})",
            ),
        )
        for hit in hits
    ]  # fmt: skip


def _score(score: float | None, thresholds: Thresholds | None) -> Said:
    """The model's level; nothing when it could not be asked, which `degraded` then says."""
    if score is None or thresholds is None:
        return []
    level = thresholds.level(score)
    text = f"score {score:.4f}; medium from {thresholds.medium:.4f}, high from {thresholds.high:.4f}"
    return [(level, Reason(Layer.SCORE, f"score_{level.word}", None, text))]


def _rules(outcome: Outcome) -> Said:
    """Each live rule that fired gives its own level."""
    return [(LEVELS[rule.level], Reason(Layer.RULES, rule.id, rule.criterion, rule.text)) for rule in outcome.fired]


_FAILURES = {
    Degraded.NO_MODEL: "there is no model to ask; verify by hand",
    Degraded.NO_FEATURES: "the behaviour of the parties could not be read; verify by hand",
    Degraded.NO_PROFILES: "no profiles of the parties' habits are at hand, the score was made without them; verify by hand",
    Degraded.STALE_PROFILES: "the profiles of the parties' habits are too old, the score was made without them; verify by hand",
}


def _failures(degraded: tuple[Degraded, ...], outcome: Outcome) -> Said:
    """Whatever failed sends the operation to verification."""
    steps = [
        (RiskLevel.MEDIUM, Reason(Layer.SYSTEM, step, None, text)) for step, text in _FAILURES.items() if step in degraded
    ]
    rules = [
        (RiskLevel.MEDIUM, Reason(Layer.SYSTEM, "rule_failed", None, f"rule {name} could not be evaluated: {error}"))
        for name, error in outcome.failed
    ]
    return [*steps, *rules]
