"""What was recorded of some operations, and what the rules on trial say of them: the arrays that every figure is made of."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from domain import instants
from domain.levels import RiskLevel
from domain.rules import Rule
from serving.rules import LEVELS

Integers = NDArray[np.int64]
Levels = NDArray[np.int8]
END = 2**52
"""A moment after everything, ms."""
UNDECIDED = -1
"""The level of an operation about which nothing was decided: it came in with a history."""


class Voice(NamedTuple):
    """What spoke of an operation as recorded. layer: of the decision, or SHADOW; code: a rule's id, or the reason's; criterion: None for none."""

    layer: str
    code: str
    criterion: str | None


SHADOW = "shadow"
"""The layer of rules that were only counted."""


@dataclass(frozen=True)
class Heard:
    """n operations in order of arrival, and what was heard of each.

    times: (n,) ms; amounts: (n,) tyiyn; customers: (n,) 64-bit keys; kinds: (n,) places in `Kind`; labels: (n,) 1 fraud, 0 genuine,
    -1 unknown, as of the trial's moment; recorded: (n,) the level that was answered, or UNDECIDED; without_rules: (n,) the level
    that registry, basic checks and score give, with the thresholds and lists on trial; start, end: of the period, ms.
    hits: where each rule on trial fires; spoke: where each voice spoke as recorded; policies: (n,) places in `policy_names`, of the
    rule set that was in force, -1 where nothing was decided; failed: where it could
    not be evaluated; listed: where a list on trial is met.
    """

    times: Integers
    amounts: Integers
    customers: Integers
    kinds: Levels
    labels: Levels
    recorded: Levels
    without_rules: Levels
    start: int
    end: int
    rules: tuple[Rule, ...]
    hits: tuple[Integers, ...]
    spoke: dict[Voice, Integers]
    policies: Integers
    policy_names: tuple[str, ...]
    failed: tuple[Integers, ...]
    listed: Integers

    def __len__(self) -> int:
        return len(self.times)

    @property
    def days(self) -> float:
        """Length of the period, an hour at least."""
        return max(self.end - self.start, instants.HOUR) / instants.DAY

    def with_rules(self) -> Levels:
        """(n,) the level with every rule on trial acting: the highest that any layer gives; what a rule fails on is verified."""
        levels = self.without_rules.copy()
        for rule, fires, fails in zip(self.rules, self.hits, self.failed, strict=True):
            levels[fires] = np.maximum(levels[fires], np.int8(LEVELS[rule.level]))
            levels[fails] = np.maximum(levels[fails], np.int8(RiskLevel.MEDIUM))
        return levels

    def speaking(self) -> NDArray[np.int32]:
        """(n,) how many rules on trial fire."""
        return np.bincount(np.concatenate([*self.hits, np.empty(0, np.int64)]), minlength=len(self)).astype(np.int32)
