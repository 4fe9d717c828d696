"""Challengers: bundles named in models/CHALLENGERS, which score beside the champion in shadow and never touch a decision.

They follow the ledger: another thread reads the vectors of what was decided, scores them by batches and keeps the scores. The
thread that answers does nothing for it, nothing waits in memory, and what was not scored before a stop is scored after it.
"""

import logging
import threading
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from casework import shadow_scores
from casework.database import Database
from casework.ledger import Ledger
from casework.shadow_scores import Score, Vector
from domain.bundle import CHALLENGERS_FILE, MANIFEST_FILE, challengers
from domain.errors import BundleError
from features.feature_set import FeatureSet
from features.plan import Plan
from serving import scoring
from serving.assessor import Layers
from serving.metrics import Metrics
from serving.scoring import MODEL_FAILURES, Model
from serving.settings import Settings
from serving.succession import written_ns

log = logging.getLogger("burana")
MOST = 4
"""Challengers at a time: each costs its score of every operation, and a label of the metrics."""
BATCH = 256
"""Entries read and scored at once."""
MOST_BEHIND = 200_000
"""Entries that a challenger goes back for after a stop; of what is older it says how much it leaves out."""


class _Evidence(msgspec.Struct):
    """What is read of a decision's evidence."""

    declarations: str = ""


EVIDENCE = msgspec.json.Decoder(_Evidence)


class Refused(NamedTuple):
    """What was refused, and what must change before it is looked at again."""

    version: str
    named_ns: int
    manifest_ns: int
    with_profiles: bool


@dataclass
class Challenger:
    """One that scores. scored_to: the sequence number up to which it has."""

    model: Model
    scored_to: int

    def scores(self, vectors: list[tuple[int, NDArray[np.float64]]]) -> list[Score]:
        """Of (sequence, vector) after `scored_to`; a vector may have more columns than it reads. ValueError for no probability."""
        width = len(self.model.manifest.features)
        mine = [(sequence, vector) for sequence, vector in vectors if sequence > self.scored_to and len(vector) >= width]
        if not mine:
            return []
        _, found = self.model.score_many(np.stack([vector[:width] for _, vector in mine]))
        if not ((found >= 0) & (found <= 1)).all():
            raise ValueError("it gave a score that is not a probability")
        version = self.model.version
        return [Score(version, sequence, score) for (sequence, _), score in zip(mine, found.tolist(), strict=True)]


class Challengers:
    """One for a process. `turn` is called time and again from another thread, `close` in the end."""

    def __init__(self, settings: Settings, plan: Plan, metrics: Metrics) -> None:
        self._settings, self._plan, self._metrics = settings, plan, metrics
        self._widths = {features.hash: len(features) for features in (FeatureSet(plan, False), FeatureSet(plan))}
        self._asked: dict[str, Challenger] = {}
        self._refused: set[Refused] = set()
        self._opened: Database | None = None
        self._turning, self._closing = threading.Lock(), False

    def turn(self, layers: Layers) -> None:
        """Follow CHALLENGERS and the champion in force, then score what was decided since the last turn."""
        with self._turning:
            if not self._closing:
                self._follow(layers)
                self._score()

    def close(self) -> None:
        """Let the running turn end after its batch; no other one does anything."""
        self._closing = True
        with self._turning:
            if self._opened is not None:
                self._opened.close()

    # ---- who is asked ------------------------------------------------------------------------------------------------

    def _follow(self, layers: Layers) -> None:
        champion = None if layers.model is None else layers.model.version
        names = [version for version in challengers(self._settings.models) if version != champion]
        for gone in self._asked.keys() - set(names[:MOST]):
            self._let_go(gone)
            log.info("challenger %s is not asked any more", gone)
        for place, version in enumerate(names):
            self._look_at(version, layers.features.with_profiles, place)

    def _look_at(self, version: str, with_profiles: bool, place: int) -> None:
        """Ask a named bundle from now on, or refuse it, once."""
        models = self._settings.models
        seen = Refused(
            version, written_ns(models / CHALLENGERS_FILE), written_ns(models / version / MANIFEST_FILE), with_profiles
        )
        if seen in self._refused:
            return
        try:
            model = self._fitting(version, with_profiles, place)
        except BundleError as error:
            self._refused.add(seen)
            self._let_go(version)
            self._metrics.challengers_refused.inc()
            log.error("challenger %s refused: %s", version, error)  # noqa: TRY400 it says all there is
            return
        if version not in self._asked:
            self._ask(version, model)

    def _fitting(self, version: str, with_profiles: bool, place: int) -> Model:
        """A named bundle, loaded and checked; BundleError says why it is not asked."""
        models, asked = self._settings.models, self._asked.get(version)
        if place >= MOST:
            raise BundleError(f"{models / CHALLENGERS_FILE} names more than {MOST}")
        model = scoring.load(models / version, self._plan) if asked is None else asked.model
        if model.asks_for_profiles and not with_profiles:
            raise BundleError(f"{version} reads profiles, and the champion in force does not: vectors have no such part")
        return model

    def _ask(self, version: str, model: Model) -> None:
        """From the end of the ledger on, or from where it stopped, but not from too far behind."""
        last = Ledger(self._database()).last_sequence
        stopped_at = shadow_scores.last_scored(self._database(), version) or last
        begin = max(stopped_at, last - MOST_BEHIND)
        self._asked[version] = Challenger(model, begin)
        log.info("challenger %s scores in shadow from entry %d, leaving out %d", version, begin + 1, begin - stopped_at)

    def _let_go(self, version: str) -> None:
        if self._asked.pop(version, None) is not None:
            self._metrics.challenger_gone(version)

    # ---- what they score ---------------------------------------------------------------------------------------------

    def _score(self) -> None:
        if not self._asked:
            return
        last = Ledger(self._database()).last_sequence
        while self._asked and not self._closing:
            after = min(challenger.scored_to for challenger in self._asked.values())
            if after >= last:
                break
            self._score_batch(after, min(after + BATCH, last))
        for version, challenger in self._asked.items():
            self._metrics.challenger_behind(version, last - challenger.scored_to)

    def _score_batch(self, after: int, up_to: int) -> None:
        vectors = self._readable(shadow_scores.vectors(self._database(), after, up_to))
        found = {version: self._scores(version, challenger, vectors) for version, challenger in [*self._asked.items()]}
        if scores := [score for each in found.values() for score in each]:
            shadow_scores.keep(self._database(), scores)
        for version, challenger in self._asked.items():
            challenger.scored_to = max(challenger.scored_to, up_to)
            self._metrics.challenger_scored(version, len(found[version]))

    def _scores(self, version: str, challenger: Challenger, vectors: list[tuple[int, NDArray[np.float64]]]) -> list[Score]:
        """A challenger's scores; one that fails is taken out."""
        try:
            return challenger.scores(vectors)
        except MODEL_FAILURES as error:
            self._take_out(version, error)
            return []

    def _take_out(self, version: str, error: Exception) -> None:
        models = self._settings.models
        named, manifest = written_ns(models / CHALLENGERS_FILE), written_ns(models / version / MANIFEST_FILE)
        self._refused |= {Refused(version, named, manifest, with_profiles) for with_profiles in (False, True)}
        self._let_go(version)
        self._metrics.challengers_failed.inc()
        log.error("challenger %s failed and is taken out; no decision depended on it: %s", version, error)

    def _readable(self, vectors: list[Vector]) -> list[tuple[int, NDArray[np.float64]]]:
        """Sequence and vector of those that these declarations made."""
        widths = [self._widths.get(EVIDENCE.decode(one.evidence).declarations) for one in vectors]
        return [
            (one.sequence, np.frombuffer(one.vector, "<f8"))
            for one, width in zip(vectors, widths, strict=True)
            if len(one.vector) == 8 * (width or 0)
        ]

    def _database(self) -> Database:
        if self._opened is None:
            self._opened = shadow_scores.connect(self._settings.database, self._settings.patience)
        return self._opened
