"""Every cell of the coverage map has its story: a criterion is seen at an operation of each kind to which it can apply."""

import pytest

from domain.applicability import CELLS, why_not
from domain.criteria import FraudCriterion
from domain.operation import Kind
from features.definitions import DEFINITIONS
from tests.stories.cells import STORIES
from tests.stories.telling import seen, shows

SERVES = {declaration.name: declaration.serves for declaration in DEFINITIONS}


@pytest.mark.parametrize(("criterion", "kind"), CELLS)
def test_the_criterion_is_seen(criterion: FraudCriterion, kind: Kind) -> None:
    """What is suspicious is told from an ordinary day, by features that serve this very criterion."""
    story = STORIES[criterion](kind)
    assert story.suspicious.operation.kind is story.ordinary.operation.kind is kind
    for told in (story.suspicious, story.ordinary):
        shows(seen(told.operation, *told.before), **told.says)
    assert set(story.suspicious.says) == set(story.ordinary.says)
    assert all(story.suspicious.says[name] != story.ordinary.says[name] for name in story.ordinary.says)
    assert {SERVES[name] for name in story.suspicious.says} == {criterion}


def test_what_cannot_apply_is_said_in_a_sentence_and_is_little() -> None:
    reasons = [reason for criterion in FraudCriterion for kind in Kind if (reason := why_not(criterion, kind)) is not None]
    assert len(reasons) + len(CELLS) == len(FraudCriterion) * len(Kind)
    assert len(reasons) == 5
    assert all(" " in reason for reason in reasons)
