"""Where medium and high begin, and the argument for it (para. 10-12): from what people can do, or from what errors cost."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from domain.errors import BundleError, ThresholdError
from domain.levels import Thresholds
from training.ranked import HIGHEST, LOWEST, Ranked

CURVE_POINTS = 200
MOST_COST, MOST_ALERTS = 1e15, 1e9
"""Bounds of a cost in minor units and of alerts a day: what is above them was not meant."""


@dataclass(frozen=True)
class Capacity:
    """What the operator can do and will answer for.

    alerts_per_1000: operations of a thousand that can be verified; alerts_per_day: the same as a number a day, used when given;
    high_precision: share of the rejected that must be fraud; high_at_least: rejected operations that this must be measured
    on; wrongly_rejected_per_1000: genuine operations of a thousand that may be rejected, at most.
    """

    alerts_per_1000: float = 5.0
    alerts_per_day: float | None = None
    high_precision: float = 0.9
    high_at_least: int = 20
    wrongly_rejected_per_1000: float = 1.0

    def __post_init__(self) -> None:
        allowed = (
            0 < self.alerts_per_1000 < 500 and 0 < self.high_precision <= 1 and self.high_at_least > 0
            and 0 <= self.wrongly_rejected_per_1000 <= 1000 and (self.alerts_per_day is None or 0 < self.alerts_per_day <= MOST_ALERTS)
        )  # fmt: skip
        if not allowed:
            raise ThresholdError(
                f"{self}: allowed 0 < alerts_per_1000 < 500, 0 < alerts_per_day <= {MOST_ALERTS:g}, 0 < high_precision <= 1, "
                "high_at_least > 0, 0 <= wrongly_rejected_per_1000 <= 1000"
            )

    def cuts(self, ranked: Ranked) -> tuple[int, int]:
        """(medium, high): reject as far down as precision and cap allow, then fill the capacity with what follows."""
        genuine = ranked.operations - int(ranked.frauds[-1])
        precise = ranked.frauds >= self.high_precision * ranked.stopped
        few = ranked.genuine <= self.wrongly_rejected_per_1000 / 1000 * genuine
        a_threshold = (ranked.scores > LOWEST) & (ranked.scores < HIGHEST)
        high = _last(precise & few & a_threshold & (ranked.stopped >= self.high_at_least))
        return max(high, _last(ranked.stopped <= ranked.stopped[high] + self.alerts(ranked))), high

    def alerts(self, ranked: Ranked) -> int:
        """Operations that can be verified in the days that were ranked, one at least."""
        if self.alerts_per_day is not None:
            return max(1, round(self.alerts_per_day * ranked.days))
        return max(1, round(self.alerts_per_1000 / 1000 * ranked.operations))

    @property
    def words(self) -> str:
        """The demands in a sentence's words."""
        alerts = f"{self.alerts_per_1000:g} of 1000" if self.alerts_per_day is None else f"{self.alerts_per_day:g} a day"
        return (
            f"capacity {alerts}, of the rejected at least {self.high_precision:.0%} fraud, "
            f"of 1000 genuine at most {self.wrongly_rejected_per_1000:g} rejected"
        )


@dataclass(frozen=True)
class Costs:
    """What an operation costs by how it is treated, in minor units of money. The defaults are assumptions, not measurements.

    lost, verified_lost: shares of a fraud's amount that are lost when it passes, and when it is verified; analyst: a verification;
    friction: what verifying costs a genuine customer; rejection: what rejecting costs him.
    """

    lost: float = 1.0
    verified_lost: float = 0.1
    analyst: float = 5_000
    friction: float = 2_000
    rejection: float = 50_000

    def __post_init__(self) -> None:
        priced = (self.analyst, self.friction, self.rejection)
        if not (0 <= self.verified_lost <= self.lost <= 1 and all(0 <= cost <= MOST_COST for cost in priced)):
            raise ThresholdError(f"{self}: allowed 0 <= verified_lost <= lost <= 1, all other costs 0 to {MOST_COST:g}")

    def cuts(self, ranked: Ranked) -> tuple[int, int]:
        """(medium, high) at which everything together costs least."""
        verified = self._verified(ranked)
        rejected = self._rejected(ranked)
        best = np.minimum.accumulate(rejected)
        medium = int(np.argmin(verified + best))
        return medium, int(np.argmin(rejected[: medium + 1]))

    def total(self, ranked: Ranked, medium: int, high: int) -> float:
        """What two cuts cost together, lost money included."""
        passed_all = self.lost * float(ranked.money[-1])
        return passed_all + float(self._verified(ranked)[medium] + self._rejected(ranked)[high])

    def _verified(self, ranked: Ranked) -> np.ndarray:
        """What verifying from each cut on costs more than letting pass (cuts,)."""
        saved = (self.lost - self.verified_lost) * ranked.money
        return self.analyst * ranked.stopped + self.friction * ranked.genuine - saved

    def _rejected(self, ranked: Ranked) -> np.ndarray:
        """What rejecting from each cut on costs more than verifying (cuts,)."""
        spared = self.analyst * ranked.stopped + self.friction * ranked.genuine
        return self.rejection * ranked.genuine - spared - self.verified_lost * ranked.money

    @property
    def words(self) -> str:
        """The costs in a sentence's words."""
        return (
            f"least cost with {self.analyst:g} a verification, {self.friction:g} and {self.rejection:g} for a genuine operation "
            f"verified and rejected, {self.lost:.0%} of a fraud lost when passed, {self.verified_lost:.0%} when verified"
        )


Policy = Capacity | Costs


class Point(Struct, frozen=True):
    """What two thresholds would have done to the operations that they were chosen on. Rates are NaN where there is nothing."""

    policy: str
    medium: float
    high: float
    verified_per_day: float
    rejected_per_day: float
    recall: float
    value_recall: float
    high_recall: float
    verified_precision: float
    high_precision: float
    genuine_verified_per_1000: float
    genuine_rejected_per_1000: float


class CurvePoint(Struct, frozen=True):
    """What stopping everything from one score on would have done."""

    score: float
    stopped_per_day: float
    precision: float
    recall: float
    value_recall: float
    genuine_stopped_per_1000: float


class Argument(Struct, frozen=True):
    """Why these thresholds: chosen on which operations, by which policy, and what else could have been chosen.

    settings: the policy's own figures; chosen, alternatives, curve: measured on `operations` later ones with `frauds`, of `days`.
    """

    text: str
    settings: dict[str, float | None]
    operations: int
    frauds: int
    days: int
    chosen: Point
    alternatives: tuple[Point, ...]
    curve: tuple[CurvePoint, ...]

    def encode(self) -> bytes:
        """As JSON; NaN is null."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)

    @classmethod
    def decode(cls, content: bytes) -> "Argument":
        """From JSON; BundleError for anything else."""
        try:
            stated = msgspec.json.decode(content, type=dict[str, Any])
            measured = {name: _measured(stated.get(name)) for name in ("chosen", "alternatives", "curve")}
            return msgspec.convert(stated | measured, cls)
        except msgspec.DecodeError as error:
            raise BundleError(f"this is not an argument for thresholds: {error}") from error

    @property
    def policy(self) -> Policy:
        """The policy by which the thresholds were chosen."""
        if "lost" in self.settings:
            return msgspec.convert(self.settings, Costs, strict=False)
        return msgspec.convert(self.settings, Capacity, strict=False)


def _measured(value: Any) -> Any:
    """What JSON says of points: a figure without an answer is NaN again."""
    match value:
        case None:
            return float("nan")
        case dict():
            return {name: _measured(one) for name, one in value.items()}
        case list():
            return [_measured(one) for one in value]
    return value


def choose(ranked: Ranked, policy: Policy) -> tuple[Thresholds, Argument]:
    """Thresholds from later, unseen operations by a policy, and the argument for them."""
    medium, high = policy.cuts(ranked)
    chosen = _point(ranked, policy, medium, high)
    argument = Argument(
        _text(ranked, policy, medium, high), asdict(policy), ranked.operations, int(ranked.frauds[-1]), ranked.days, chosen,
        tuple(_point(ranked, other, *other.cuts(ranked)) for other in _alternatives(policy)), _curve(ranked),
    )  # fmt: skip
    return ranked.thresholds(medium, high), argument


def measure(ranked: Ranked, policy: Policy, thresholds: Thresholds) -> Point:
    """What thresholds that a policy chose on other operations do to these."""
    point = _point(ranked, policy, ranked.cut(thresholds.medium), ranked.cut(thresholds.high))
    return replace(point, medium=thresholds.medium, high=thresholds.high)


def table(points: Iterable[Point]) -> Iterator[str]:
    """Points as lines for people, each below its policy in words."""
    for point in points:
        yield point.policy
        yield (
            f"  medium {point.medium:.4g}, high {point.high:.4g}: {point.verified_per_day:.1f} verified and "
            f"{point.rejected_per_day:.1f} rejected a day"
        )
        yield (
            f"  stopped {point.recall:.1%} of the frauds, {point.value_recall:.1%} of their money; "
            f"fraud among the rejected {_said(point.high_precision)}, among the verified {_said(point.verified_precision)}"
        )
        yield (
            f"  of 1,000 genuine operations {point.genuine_verified_per_1000:.2f} verified, "
            f"{point.genuine_rejected_per_1000:.2f} rejected"
        )


def _alternatives(policy: Policy) -> list[Policy]:
    """Other demands worth comparing: half and twice the people, stricter and looser rejecting, and the other way of choosing."""
    if isinstance(policy, Costs):
        return [Capacity()]
    per_day = policy.alerts_per_day
    people = [
        Capacity(**{**asdict(policy), "alerts_per_1000": min(499.0, policy.alerts_per_1000 * times),
                    "alerts_per_day": None if per_day is None else min(MOST_ALERTS, per_day * times)})
        for times in (0.5, 2)
    ]  # fmt: skip
    strictness = [Capacity(**{**asdict(policy), "high_precision": share}) for share in (0.8, 0.95)]
    return [*people, *strictness, Costs()]


def _point(ranked: Ranked, policy: Policy, medium: int, high: int) -> Point:
    thresholds, frauds = ranked.thresholds(medium, high), int(ranked.frauds[-1])
    genuine = ranked.operations - frauds
    verified = int(ranked.stopped[medium] - ranked.stopped[high])
    return Point(
        policy.words, thresholds.medium, thresholds.high, verified / ranked.days, int(ranked.stopped[high]) / ranked.days,
        _share(ranked.frauds[medium], frauds), _share(ranked.money[medium], ranked.money[-1]),
        _share(ranked.frauds[high], frauds), _share(ranked.frauds[medium] - ranked.frauds[high], verified),
        _share(ranked.frauds[high], ranked.stopped[high]),
        1000 * _share(ranked.genuine[medium] - ranked.genuine[high], genuine), 1000 * _share(ranked.genuine[high], genuine),
    )  # fmt: skip


def _curve(ranked: Ranked) -> tuple[CurvePoint, ...]:
    """Cuts that are evenly spread on a logarithmic scale of stopped operations."""
    wanted = np.geomspace(1, ranked.operations, CURVE_POINTS)
    cuts = np.unique(np.clip(np.searchsorted(ranked.stopped, wanted), 1, len(ranked.stopped) - 1))
    frauds = int(ranked.frauds[-1])
    return tuple(
        CurvePoint(
            float(ranked.scores[cut]), int(ranked.stopped[cut]) / ranked.days, _share(ranked.frauds[cut], ranked.stopped[cut]),
            _share(ranked.frauds[cut], frauds), _share(ranked.money[cut], ranked.money[-1]),
            1000 * _share(ranked.genuine[cut], ranked.operations - frauds),
        )
        for cut in cuts
    )  # fmt: skip


def _text(ranked: Ranked, policy: Policy, medium: int, high: int) -> str:
    """The argument in words."""
    thresholds, frauds = ranked.thresholds(medium, high), int(ranked.frauds[-1])
    rejected, caught = int(ranked.stopped[high]), int(ranked.frauds[high])
    verified = int(ranked.stopped[medium]) - rejected
    rejecting = (
        f"high {thresholds.high:.6f}: {caught} of the {rejected} operations at or above it were fraud ({caught / rejected:.1%})"
        if rejected
        else "No score allows rejecting under these demands: high is the highest that a threshold may be, and the model alone rejects nothing"
    )
    return (
        f"Chosen on {ranked.operations} later operations of {ranked.days} days with {frauds} frauds; {policy.words}. {rejecting}. "
        f"medium {thresholds.medium:.6f} sends {verified} operations ({verified / ranked.days:.1f} a day, "
        f"{verified / ranked.operations * 1000:.1f} of 1000) to verification; with the rejected, {ranked.frauds[medium]} of the "
        f"frauds are stopped ({_share(ranked.frauds[medium], frauds):.1%})."
    )


def _last(fitting: np.ndarray) -> int:
    """The last cut that fits, 0 (stopping nothing) when none does."""
    found = np.flatnonzero(fitting)
    return int(found[-1]) if len(found) else 0


def _said(share: float) -> str:
    return "nothing to count" if np.isnan(share) else f"{share:.1%}"


def _share(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else float("nan")
