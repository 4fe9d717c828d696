"""The report of a backtest as a person reads it in a terminal."""

from collections.abc import Iterator

from serving.backtest.figures import Figures
from serving.backtest.report import Report, RuleFigures

MOST_BESIDE = 3
SOM = 100
"""Tyiyn."""
HEAD = (
    f"{'':44}{'stopped':>9}{'a day':>9}{'fraud':>8}{'genuine':>9}{'unknown':>9}{'precision':>22}{'recall':>22}{'money':>8}"
    f"{'customers':>11}{'som each':>10}{'cost each':>10}"
)


def table(report: Report) -> Iterator[str]:
    """The figures as lines."""
    asked = report.asked
    yield f"{report.operations:,} operations of {report.customers:,} customers, {report.start} to {report.end} ({report.days:.1f} days)"
    yield (
        f"as known at {asked.as_of}, silence counts as genuine after {asked.delay_days:g} days: "
        f"{report.known:,} known, {report.frauds:,} of them fraud"
    )
    yield f"intervals: 95% over customers, {asked.resamples} resamples"
    yield ""
    yield HEAD
    yield from _decisions(report)
    yield ""
    for rule in report.rules:
        yield from rule_lines(rule, report.recorded is not None)
    yield ""
    yield from _by_kind(report)
    yield from LEGEND


def _decisions(report: Report) -> Iterator[str]:
    if report.recorded is not None:
        yield _line("as recorded", report.recorded)
    yield _line("without rules", report.without_rules)
    if report.listed is not None:
        yield _line("met by the list", report.listed)
    yield _line("with the rules on trial", report.with_rules)
    if report.recorded is not None:
        yield _line("of these not stopped so far", report.added)


def rule_lines(rule: RuleFigures, was_decided: bool) -> Iterator[str]:
    """A rule's lines. was_decided: whether anything was, so that what passed can be told."""
    yield _line(f"{rule.id} ({rule.state})", rule.hits)
    if rule.hits.stopped:
        if was_decided:
            yield _line("  not stopped so far", rule.new)
        yield _line("  by nothing else", rule.alone)
        beside = list(rule.beside.items())[:MOST_BESIDE]
        if beside:
            yield "  hits shared with " + ", ".join(f"{name} {count:,}" for name, count in beside)
    if rule.failed:
        yield f"  could not be evaluated on {rule.failed:,} operations, which it would send to verification"


def _by_kind(report: Report) -> Iterator[str]:
    yield "with the rules on trial, by kind of operation"
    for kind, figures in report.by_kind.items():
        yield _line(f"  {kind.value}", figures)
    yield ""


def _line(name: str, figures: Figures) -> str:
    return (
        f"{name:44.44}{figures.stopped:>9,}{figures.a_day:>9.1f}{figures.fraud:>8,}{figures.genuine:>9,}{figures.unknown:>9,}"
        f"{_share(figures, 'precision'):>22}{_share(figures, 'recall'):>22}{_percent(figures.money_recall):>8}"
        f"{figures.genuine_customers:>11,}{_som(figures.fraud_tyiyn_per_genuine_customer):>10}"
        f"{_som(figures.cost_tyiyn_per_defrauded_customer):>10}"
    )


def _share(figures: Figures, name: str) -> str:
    """`12.3% (10.1-15.0)`; a dash where there is nothing to divide by."""
    value = getattr(figures, name)
    if value is None or name not in figures.intervals:
        return _percent(value)
    low, high = figures.intervals[name]
    return f"{value:.1%} ({100 * low:.1f}-{100 * high:.1f})"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _som(tyiyn: float | None) -> str:
    return "-" if tyiyn is None else f"{tyiyn / SOM:,.0f}"


LEGEND = (
    "stopped: verified or rejected; precision: fraud among the stopped of which it is known; recall, money: of all known frauds;",
    "customers: genuine ones stopped; som each: fraud stopped for each of them; cost each: of verifying, for each defrauded customer saved",
)
