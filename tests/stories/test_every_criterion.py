"""The fraud criteria of para. 15 as small stories: what the features see, and what they must not take for it (R59-R74)."""

import re
from pathlib import Path

import pytest

from domain.criteria import FraudCriterion


@pytest.mark.parametrize("criterion", FraudCriterion)
def test_every_criterion_is_told_in_a_file_of_its_own_at_least_twice(criterion: FraudCriterion) -> None:
    """Once as the regulation says it, once as what it does not mean."""
    files = list(Path(__file__).parent.glob(f"test_{criterion.lower()}_*.py"))
    assert len(files) == 1
    told = re.findall(r"^def test_(r\d+)_(\w+)", files[0].read_text(encoding="utf-8"), re.MULTILINE)
    assert {number for number, _ in told} == {criterion.lower()}
    assert any("seen" in claim for _, claim in told)
    assert any(re.search(r"_no_|_not_|_nothing_|_outside_|_neither_", claim) for _, claim in told)
