"""What a decision says of itself."""

from datetime import UTC, datetime

import pytest

from domain.criteria import FraudCriterion
from domain.decision import Decision, Layer, Reason
from domain.levels import Action


@pytest.mark.parametrize(("of_score", "asked"), [("score_low", ()), ("score_medium", (Layer.SCORE,))])
def test_what_explains_a_score_does_not_ask_for_more_than_low(of_score: str, asked: tuple[Layer, ...]) -> None:
    """A rule verifies an operation; the reasons that explain its score are of the score's layer, whatever the score said."""
    reasons = (
        Reason(Layer.SCORE, of_score, None, "score"),
        Reason(Layer.RULES, "many_calls", None, "rule"),
        Reason(Layer.SCORE, "score_frequency", FraudCriterion.FREQUENCY, "odds of fraud times 2"),
        Reason(Layer.SCORE, "score_not_explained", None, "no explanation"),
    )
    at = datetime(2026, 1, 1, tzinfo=UTC)
    decision = Decision("o1", "medium", Action.VERIFY, 0.1, reasons, (), "m", "p", None, at, 1)
    assert set(decision.asked) == {*asked, Layer.RULES}
