"""Prometheus metrics with bounded labels."""

import math
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from domain.decision import Decision, Layer
from domain.levels import RiskLevel
from features.bins import SCORE
from features.stability import UNREAD, Finding
from serving.rule_figures import RuleFigures
from serving.stages import StageTimes

SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)


class AuditFigures:
    """The figures of the audit log: how long it is, up to where it is signed, how often that failed, what is still to join."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.entries = Gauge("burana_audit_entries", "Entries of the audit log at the last look", registry=registry)
        self.signed = Gauge("burana_audit_signed", "Entries under the last checkpoint that was signed", registry=registry)
        self.unbatched = Gauge("burana_audit_unbatched", "Entries of the ledger that are in no batch yet", registry=registry)
        self.unsigned = Counter("burana_audit_unsigned", "Times that a due checkpoint was not signed", registry=registry)


class Metrics:
    """The figures of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._levels = Counter("burana_decisions", "Decisions by level", ["level"], registry=self._registry)
        self._degraded = Counter("burana_degraded", "Decisions made without a part", ["step"], registry=self._registry)
        self._control = Counter(
            "burana_control", "Decisions that the lot of the control share made", ["code"], registry=self._registry
        )
        self._level = {level.word: self._levels.labels(level.word) for level in RiskLevel}
        self._answers = Counter(
            "burana_answers", "Answers by route and status", ["route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "burana_seconds",
            "From the whole body to the durable answer",
            ["route"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self.ledger_failures = Counter(
            "burana_ledger_failures", "Times that the ledger could not be written, or read before a record",
            registry=self._registry,
        )  # fmt: skip
        self.features_failed = Counter(
            "burana_features_failed", "Times that the features could not take a record", registry=self._registry
        )
        self.states_refused = Counter(
            "burana_states_refused", "Snapshots of the features that were left aside", registry=self._registry
        )
        self.follow_failures = Counter(
            "burana_follow_failures", "Times that registry, keys, rules or counts could not be looked at",
            registry=self._registry,
        )  # fmt: skip
        self.rules_refused = Counter("burana_rules_refused", "Sets of rules that do not compile", registry=self._registry)
        self._unexplained = Counter(
            "burana_scores_not_explained", "Stopped operations whose score was not explained", registry=self._registry
        )
        self.clock_stepped_back = Counter(
            "burana_clock_stepped_back", "Steps of the machine's clock to before the last record", registry=self._registry
        )
        self.stages = StageTimes()
        self._registry.register(self.stages)
        self.rules = RuleFigures()
        self._registry.register(self.rules)
        self._answered: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._turned_away = Counter(
            "burana_turned_away", "Requests that the key, its signature, scope or rate did not let in", ["code"],
            registry=self._registry,
        )  # fmt: skip
        self._failures = Counter("burana_failures", "Requests that met an unexpected error", registry=self._registry)
        self._waiting = Gauge("burana_waiting", "Records on their way to the disk", registry=self._registry)
        self._lag = Gauge(
            "burana_ledger_lag_seconds", "How long the oldest of them has been on its way", registry=self._registry
        )
        self._ready = Gauge("burana_ready", "1 while records are taken", registry=self._registry)
        self._check = Gauge("burana_check", "1 for a check of readiness that holds", ["check"], registry=self._registry)
        self._standby = Gauge("burana_standby", "1 while another process records", registry=self._registry)
        self._standby_behind = Gauge(
            "burana_standby_behind", "Entries that a standby found new when it last looked; NaN of no standby",
            registry=self._registry,
        )  # fmt: skip
        self.snapshot_behind = Gauge(
            "burana_snapshot_behind", "Entries that a start would replay after the snapshot", registry=self._registry
        )
        self.snapshots_failed = Counter(
            "burana_snapshots_failed", "Snapshots of the features that could not be written", registry=self._registry
        )
        self.audit = AuditFigures(self._registry)
        self.entities = Gauge("burana_entities", "Accounts, customers, devices ... with history", registry=self._registry)

        self.spot_checked = Counter(
            "burana_features_verified", "Served vectors recomputed by the batch path", registry=self._registry
        )
        self.spot_differing = Counter(
            "burana_features_differing", "Of these, vectors that were not the same bits", registry=self._registry
        )
        self.spot_checked_at = Gauge(
            "burana_features_verified_at_seconds", "When that was last done, seconds since 1970", registry=self._registry
        )

        self._champion = Gauge("burana_champion", "1 for the bundle in force", ["model"], registry=self._registry)
        self.champions_taken = Counter(
            "burana_champions_taken", "Champions that took over while this process ran", registry=self._registry
        )
        self.champions_refused = Counter(
            "burana_champions_refused", "Bundles named as champion that did not fit", registry=self._registry
        )

        self._challenger_scored = Counter(
            "burana_challenger_scored", "Operations that a challenger scored in shadow", ["model"], registry=self._registry
        )
        self._challenger_behind = Gauge(
            "burana_challenger_behind", "Entries that a challenger has yet to look at", ["model"], registry=self._registry
        )
        self.challengers_refused = Counter(
            "burana_challengers_refused", "Bundles named as challengers that did not fit", registry=self._registry
        )
        self.challengers_failed = Counter(
            "burana_challengers_failed", "Challengers taken out because they gave no score", registry=self._registry
        )

        self._psi = Gauge(
            "burana_feature_psi", "PSI against training; NaN while nothing can be read", ["feature"], registry=self._registry
        )
        self._score_psi = Gauge("burana_score_psi", "The same of the model's score", registry=self._registry)
        self._psi_vectors = Gauge("burana_feature_psi_vectors", "Vectors that PSI is of", registry=self._registry)
        self._psi_measured = Gauge(
            "burana_feature_psi_measured", "1, or 0 without a model or its reference for drift", registry=self._registry
        )
        self.psi_dropped = Counter(
            "burana_feature_psi_dropped", "Vectors left out of PSI because too many waited", registry=self._registry
        )

        self._profile_age = Gauge(
            "burana_profile_age_seconds",
            "Since the end of the newest local day whose profiles are loaded; NaN without",
            registry=self._registry,
        )
        self._profiles_day = Gauge(
            "burana_profiles_loaded_day",
            "The newest local day whose profiles are loaded, in days since 1970-01-01; NaN without",
            registry=self._registry,
        )
        self.profiles_refused = Counter(
            "burana_profiles_refused", "Snapshots of profiles that could not be loaded", registry=self._registry
        )
        self.in_force(None, is_psi_measured=False)

    def in_force(self, model: str | None, *, is_psi_measured: bool) -> None:
        """Name the bundle in force, None for none; figures that were of another one are forgotten."""
        for gauge in (self._champion, self._psi):
            gauge.clear()
        if model is not None:
            self._champion.labels(model).set(1)
        self._psi_measured.set(int(is_psi_measured))
        self._score_psi.set(math.nan)

    def recording(self, waiting: int, oldest_s: float, behind: int | None) -> None:
        """Set what is on its way to the disk; behind: of a standby, None where this process records."""
        self._waiting.set(waiting)
        self._lag.set(oldest_s)
        self._standby.set(int(behind is not None))
        self._standby_behind.set(math.nan if behind is None else behind)

    def ready(self, is_ready: bool, checks: Iterable[tuple[str, bool]]) -> None:
        """Set whether records are taken, and what of it holds."""
        self._ready.set(int(is_ready))
        for name, holds in checks:
            self._check.labels(name).set(int(holds))

    def challenger_scored(self, model: str, operations: int) -> None:
        """Count what a challenger scored."""
        self._challenger_scored.labels(model).inc(operations)

    def challenger_behind(self, model: str, entries: int) -> None:
        """Say how far a challenger is behind the ledger."""
        self._challenger_behind.labels(model).set(entries)

    def challenger_gone(self, model: str) -> None:
        """Forget a challenger that is not asked any more."""
        for metric in (self._challenger_scored, self._challenger_behind):
            metric.labels(model)  # there may be none yet, and what is not there cannot be removed
            metric.remove(model)

    def profiles(self, day: int | None, age_s: float = math.nan) -> None:
        """Set the newest local day whose profiles are loaded and how long ago it ended; None without."""
        self._profiles_day.set(math.nan if day is None else day)
        self._profile_age.set(age_s)

    def drifted(self, found: list[Finding], vectors: int) -> None:
        """Set what live vectors show; too few of them, or too short a time, read as NaN: nothing to be alarmed at."""
        for finding in found:
            gauge = self._score_psi if finding.name == SCORE else self._psi.labels(finding.name)
            gauge.set(math.nan if finding.level in UNREAD else finding.psi)
        self._psi_vectors.set(vectors)

    def decided(self, decision: Decision) -> None:
        """Count a decision."""
        self._level[decision.level].inc()
        for step in decision.degraded:
            self._degraded.labels(step.value).inc()
        for reason in decision.reasons:
            if reason.layer is Layer.CONTROL:
                self._control.labels(reason.code).inc()
            elif reason.code == "score_not_explained":
                self._unexplained.inc()

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer and its time."""
        counted = self._answered.get((route, status))
        if counted is None:  # kept: looking a label up costs more than counting
            counted = self._answers.labels(route, str(status)), self._seconds.labels(route)
            self._answered[route, status] = counted
        answers, times = counted
        answers.inc()
        times.observe(seconds)

    def turned_away(self, code: str) -> None:
        """Count a request that was not let in; code: of its problem."""
        self._turned_away.labels(code).inc()

    def failed(self) -> None:
        """Count a request that met an error which nobody expected."""
        self._failures.inc()

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)
