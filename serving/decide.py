"""THE MAIN PATH: from what each layer said to the decision. A pure function that can be read aloud.

Registry first, then basic verification, then the score, then the rules; the highest level wins and every layer that spoke
is in the reasons. A part that failed leads to verification, never to low (R28-R34, R45, R96). Last comes the lot: a share of
the operations, set by the operator and 0 unless he does, is verified or let pass as a control (`serving/control.py`).
"""

from collections.abc import Sequence

from msgspec import Struct

from casework.registry import Hit
from domain.criteria import FraudCriterion
from domain.decision import Degraded, Layer, Reason
from domain.levels import RiskLevel, Thresholds
from domain.listing import List
from serving.control import NO_CONTROL, Control, Shares, controlled
from serving.rules import LEVELS, Outcome


class Heard(Struct, frozen=True):
    """What the layers said of one operation. score: None when there is no model or no vector; lot: of this operation, in [0, 1)."""

    hits: tuple[Hit, ...]
    basic: tuple[Reason, ...]
    score: float | None
    thresholds: Thresholds | None
    rules: Outcome
    degraded: tuple[Degraded, ...] = ()
    lot: float = 0.0
    shares: Shares = NO_CONTROL


class Assessment(Struct, frozen=True):
    """The level and why. control: the level that it would have been without the lot, and with which probability it is stopped."""

    level: RiskLevel
    reasons: tuple[Reason, ...]
    degraded: tuple[Degraded, ...]
    control: Control


def decide(heard: Heard) -> Assessment:
    """The highest level that any layer gives, but for the few operations that the lot decides."""
    # most operations have a score and nothing else: who did not speak is not asked, 2.7 us in place of 3.4
    said = [*_registry(heard.hits), *_basic(heard.basic)] if heard.hits or heard.basic else []
    said += _score(heard.score, heard.thresholds)
    if heard.rules.fired:
        said += _rules(heard.rules)
    if heard.degraded or heard.rules.failed:
        said += _failures(heard.degraded, heard.rules)
    highest = max([level for level, _ in said], default=RiskLevel.MEDIUM)
    asked = frozenset([reason.layer for level, reason in said if level > RiskLevel.LOW])
    control = controlled(highest, asked, heard.lot, heard.shares)
    reasons = (*[reason for _, reason in said], *_drawn(control))
    degraded = (*heard.degraded, *((Degraded.RULE_FAILED,) if heard.rules.failed else ()))
    return Assessment(control.level, reasons, degraded, control)


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


def _basic(reasons: tuple[Reason, ...]) -> Said:
    """Whatever basic verification says asks for a person."""
    return [(RiskLevel.MEDIUM, reason) for reason in reasons]


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
    Degraded.DEADLINE: "the time for an answer ran out before everything was asked; verify by hand",
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


def _drawn(control: Control) -> tuple[Reason, ...]:
    """That the lot decided, where it did."""
    if control.level > control.would_be:
        text = f"drawn by lot to be verified ({control.propensity:.2%} are): nothing else speaks against it; a check of what passes"
        return (Reason(Layer.CONTROL, "control_verified", None, text),)
    if control.level < control.would_be:
        text = f"drawn by lot to pass ({1 - control.propensity:.2%} are): only the score asked to verify it; a check of the score"
        return (Reason(Layer.CONTROL, "control_passed", None, text),)
    return ()
