"""Prometheus metrics with bounded labels."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from domain.decision import Decision

SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)


class Metrics:
    """The figures of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._levels = Counter("burana_decisions", "Decisions by level", ["level"], registry=self._registry)
        self._degraded = Counter("burana_degraded", "Decisions made without a part", ["step"], registry=self._registry)
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
        self.waiting = Gauge("burana_waiting", "Records on their way to the disk", registry=self._registry)
        self.entities = Gauge("burana_entities", "Accounts, customers, devices ... with history", registry=self._registry)

    def decided(self, decision: Decision) -> None:
        """Count a decision."""
        self._levels.labels(decision.level).inc()
        for step in decision.degraded:
            self._degraded.labels(step.value).inc()

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer and its time."""
        self._answers.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)
