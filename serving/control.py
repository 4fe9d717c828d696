"""The control share: a few operations, drawn by lot, are verified though nothing asks for it, or pass though the score asks.

Outcomes are known of what was stopped, and of the fraud that somebody reports. What passes and is never reported looks
genuine, so recall made of known outcomes is too high. A random share with a known probability shows what it hides:
`training/propensity.py` weighs with it.

What the regulation allows. Verifying more than the levels ask is always allowed (R26, R35). Letting pass is not free: what
was given medium must be verified (R34). So an operation that is let pass is given low (R32, R33: what deviates enough is for
the operator to set), by the operator's own decision, off unless he sets it, and at most `MOST_PASSED` of what the score
alone asked to verify. What the registry, basic verification, a rule or a failure asks for is never let pass (R22, R45, R96),
and nothing is taken from high (R31). A lot belongs to one operation: a second attempt under another id draws anew, so a thief
who tries ten times meets a share of 0.1 with a probability of 0.65. Keep that share small.
"""

import hashlib
import hmac
from typing import NamedTuple

from msgspec import Struct

from domain.decision import Layer
from domain.levels import RiskLevel

MOST_VERIFIED, MOST_PASSED = 0.5, 0.1
_SCORE_ALONE = frozenset({Layer.SCORE})


class Shares(NamedTuple):
    """How many are drawn. The settings hold the bounds.

    verified: of the operations that would be low, 0 to MOST_VERIFIED; passed: of those that the score alone would have verified,
    0 to MOST_PASSED.
    """

    verified: float = 0.0
    passed: float = 0.0


NO_CONTROL = Shares()


class Control(Struct, frozen=True):
    """What the lot made of an operation.

    level: what is given; would_be: the level without the lot; propensity: the probability, before the lot was drawn, that the
    operation is stopped, so that people see it: 1 where the lot has no say, 0 for what passes and is never drawn.
    """

    level: RiskLevel
    would_be: RiskLevel
    propensity: float


def controlled(would_be: RiskLevel, asked: frozenset[Layer], lot: float, shares: Shares) -> Control:
    """What the lot makes of a level. asked: the layers that asked for more than low; lot: of this operation, in [0, 1)."""
    if would_be is RiskLevel.LOW:
        return Control(RiskLevel.MEDIUM if lot < shares.verified else would_be, would_be, shares.verified)
    if would_be is RiskLevel.MEDIUM and asked == _SCORE_ALONE:
        return Control(RiskLevel.LOW if lot < shares.passed else would_be, would_be, 1 - shares.passed)
    return Control(would_be, would_be, 1.0)


class Lots:
    """The lot of each operation: the same for the same id, and known only to who has the operator's key."""

    def __init__(self, key: bytes) -> None:
        """key: any secret of the operator; a key of its own is derived from it, so nothing else is made with this one."""
        self._keyed = hashlib.blake2b(key=hmac.digest(key, b"burana: lots of the control share", "sha256"), digest_size=8)

    def draw(self, operation_id: str) -> float:
        """Uniform in [0, 1), in steps of 2**-53."""
        hashed = self._keyed.copy()
        hashed.update(operation_id.encode())
        return float((int.from_bytes(hashed.digest(), "big") >> 11) * 2.0**-53)
