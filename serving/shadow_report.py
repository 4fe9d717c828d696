"""Challengers beside the champion, over the ledger's last days: levels that their scores would have given, and what was fraud."""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from casework import database as databases
from casework import shadow_scores
from casework.database import Database
from casework.effectiveness import effectiveness
from casework.ledger import Ledger
from domain import instants
from domain.bundle import manifest_of
from domain.decision import Layer
from domain.errors import BundleError, SettingsError
from domain.events import Outcome, Verdict
from domain.levels import RiskLevel, Thresholds
from serving.contracts import OUTCOME

log = logging.getLogger("burana")
WORDS = tuple(level.word for level in RiskLevel)
BY_THE_SCORE = {f"score_{level.word}": int(level) for level in RiskLevel}


class _Reason(msgspec.Struct):
    """What is read of a reason."""

    layer: Layer
    code: str


class _Decision(msgspec.Struct):
    """What is read of a decision."""

    model: str | None
    level: str
    reasons: list[_Reason]


class _Operation(msgspec.Struct):
    """What is read of an operation."""

    occurred_at: datetime


DECISION, OPERATION = msgspec.json.Decoder(_Decision), msgspec.json.Decoder(_Operation)


@dataclass(frozen=True)
class Beside:
    """Operations that a challenger and another bundle as champion scored, in order.

    ids; champions: versions; levels, champion_levels: (n,) RiskLevel by the score alone; times: (n,) int64 ms; stopped: (n,)
    whether it was verified or rejected, by whichever layer.
    """

    ids: tuple[str, ...]
    champions: tuple[str, ...]
    levels: NDArray[np.int64]
    champion_levels: NDArray[np.int64]
    times: NDArray[np.int64]
    stopped: NDArray[np.bool_]

    def agreement(self) -> list[list[int]]:
        """How many operations, by the champion's level (rows) and the challenger's (columns)."""
        counts: list[list[int]] = np.bincount(self.champion_levels * 3 + self.levels, minlength=9).reshape(3, 3).tolist()
        return counts


def report(database: str, models: Path, start: datetime, delay: timedelta) -> dict[str, Any]:
    """Every figure, for each challenger that scored operations recorded since `start`; SettingsError where there is none.

    An operation counts with its last known outcome; one that passed and of which nothing is known counts as genuine once it is
    older than the delay in which fraud is normally reported, seen from the latest operation, and is left out before. One that was
    stopped and has no verdict is left out: no victim reports it.
    """
    with databases.existing(database) as opened:
        after = Ledger(opened).last_before(start.isoformat(timespec="microseconds"))
        verdicts = _verdicts(shadow_scores.outcomes(opened, after))
        found = {
            version: beside
            for version in shadow_scores.models(opened, after)
            if (thresholds := _thresholds_of(models / version)) is not None
            if len((beside := _beside(opened, version, thresholds, after)).ids)
        }
    if not found:
        raise SettingsError(
            f"{databases.masked(database)}: no challenger scored an operation since {start.isoformat(timespec='minutes')}; name a bundle in "
            f"{models / 'CHALLENGERS'}, a version a line, and a running server asks it from then on"
        )
    return {version: _figures(beside, verdicts, delay) for version, beside in found.items()}


def _thresholds_of(folder: Path) -> Thresholds | None:
    """Of a challenger's bundle; None, and said, where it is not there any more: the others can be compared without it."""
    try:
        return manifest_of(folder).thresholds
    except BundleError as error:
        log.warning("challenger %s is left out: %s", folder.name, error)
        return None


def table(figures: dict[str, Any]) -> Iterator[str]:
    """The figures as lines for people."""
    for version, row in figures.items():
        champions = ", ".join(f"{champion} ({count:,})" for champion, count in row["champions"].items())
        yield f"challenger {version} beside {champions}: {row['operations']:,} operations, levels by the score alone"
        yield f"  {'champion':12}" + "".join(f"{'-> ' + word:>12}" for word in WORDS)
        for word, counts in zip(WORDS, row["agreement"], strict=True):
            yield f"  {word:12}" + "".join(f"{count:>12,}" for count in counts)
        yield (
            f"  outcome known for {row['known']:,}, silent for longer than the delay {row['silent']:,} (genuine), "
            f"stopped without a verdict {row['unanswered']:,} and too young {row['too_young']:,} (left out)"
        )
        if row["known"] + row["silent"]:
            yield f"  {'':12}{'frauds':>10}{'stopped':>10}{'recall':>10}{'precision':>11}{'genuine stopped':>17}"
            yield from (f"  {name:12}{_effect(row[name])}" for name in ("champion", "challenger"))
        yield ""


def _effect(figures: dict[str, float]) -> str:
    frauds = sum(figures[f"fraud_{word}"] for word in WORDS)
    stopped = frauds - figures["fraud_low"]
    genuine = figures["genuine_medium"] + figures["genuine_high"]
    return f"{frauds:>10,}{stopped:>10,}{figures['recall']:>10.3f}{figures['precision']:>11.3f}{genuine:>17,}"


def _figures(beside: Beside, verdicts: dict[str, bool], delay: timedelta) -> dict[str, Any]:
    known = np.array([id_ in verdicts for id_ in beside.ids])
    fraud = np.array([verdicts.get(id_, False) for id_ in beside.ids])
    old = beside.times < beside.times.max() - delay // timedelta(milliseconds=1)
    silent, unanswered = ~known & old & ~beside.stopped, ~known & old & beside.stopped
    counted = known | silent
    return {
        "operations": len(beside.ids), "champions": dict(Counter(beside.champions).most_common()),
        "levels": dict(zip(WORDS, np.bincount(beside.levels, minlength=3).tolist(), strict=True)),
        "agreement": beside.agreement(), "known": int(known.sum()), "silent": int(silent.sum()),
        "unanswered": int(unanswered.sum()), "too_young": int((~known & ~old).sum()),
        "champion": effectiveness(beside.champion_levels[counted], fraud[counted]).figures(),
        "challenger": effectiveness(beside.levels[counted], fraud[counted]).figures(),
    }  # fmt: skip


def _beside(database: Database, version: str, thresholds: Thresholds, after: int) -> Beside:
    """What the challenger scored beside another champion that gave a score too."""
    ids, champions, levels, champion_levels, times, stopped = [], [], [], [], [], []
    for one in shadow_scores.compared(database, version, after):
        decision = DECISION.decode(one.answer)
        spoke = [BY_THE_SCORE[reason.code] for reason in decision.reasons if _is_level(reason)]
        if decision.model is None or decision.model == version or not spoke:
            continue
        ids.append(one.operation_id)
        champions.append(decision.model)
        levels.append(int(thresholds.level(one.score)))
        champion_levels.append(spoke[0])
        times.append(instants.to_ms(OPERATION.decode(one.body).occurred_at))
        stopped.append(decision.level != RiskLevel.LOW.word)
    by_challenger, by_champion, at = (np.array(numbers, np.int64) for numbers in (levels, champion_levels, times))
    return Beside(tuple(ids), tuple(champions), by_challenger, by_champion, at, np.array(stopped, np.bool_))


def _is_level(reason: _Reason) -> bool:
    """Whether it is the level of the score; the layer's other reasons say what raised it."""
    return reason.layer is Layer.SCORE and reason.code in BY_THE_SCORE


def _verdicts(bodies: Iterator[bytes]) -> dict[str, bool]:
    """Operation -> whether it was fraud, by the last outcome."""
    outcomes: Iterator[Outcome] = (OUTCOME.decode(body) for body in bodies)
    return {outcome.operation_id: outcome.verdict is Verdict.FRAUD for outcome in outcomes}
