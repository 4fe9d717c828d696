"""Compare a challenger with the champion on recent history and let it take over, or go back to the champion before."""

import argparse
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from domain.errors import PromotionError, SettingsError, TrackingError
from domain.instants import parse_day_or_instant
from domain.json_file import add_json, write_json
from domain.promotions import Promotion, champion_before, read
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan
from training import champions, released, tracking
from training.comparison import Comparison, Figures
from training.intervals import Interval
from training.promote import ENOUGH_FRAUDS, Span, caution, compared, objections, worst_slice

FIGURES_FOLDER = "comparisons"
MOST_DAYS = 36_500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the bundles and CHAMPION")
    parser.add_argument("--mlflow", default="sqlite:///mlflow.db", help="tracking store: sqlite:///FILE or a server's URL")
    parser.add_argument("--by", required=True, help="the responsible person (R109)")
    parser.add_argument("--reason", required=True, help="why (R111)")
    parser.add_argument("--roll-back", action="store_true", help="go back to the champion before")
    parser.add_argument("--challenger", help="version of the bundle that would take over")
    parser.add_argument("--history", type=Path, help="folder of a canonical history with what became known since")
    parser.add_argument("--from", dest="start", type=parse_day_or_instant, help="first day or instant (UTC) to compare on")
    parser.add_argument("--to", dest="end", type=parse_day_or_instant, help="first day or instant after it")
    parser.add_argument("--delay-days", type=float, default=7, help="days until silence counts as legitimate")
    parser.add_argument("--resamples", type=int, default=500, help="of the bootstrap over customers")
    parser.add_argument("--override", action="store_true", help="promote although the comparison speaks against it")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 when the champion is the one that was asked for; PromotionError, and nothing is changed, when it is refused."""
    if arguments.roll_back:
        announce(champions.roll_back(arguments.models, arguments.by, arguments.reason), arguments.models, arguments.mlflow)
        return 0
    if arguments.challenger is None:
        raise SettingsError("name the bundle with --challenger VERSION, or go back with --roll-back")
    champion = champions.in_force(arguments.models)
    if champion == arguments.challenger:
        raise PromotionError(f"{champion} is the champion already")
    if champion is None:
        first = champions.promote(arguments.models, arguments.challenger, arguments.by, arguments.reason, expected=None)
        print("there was no champion to compare with: the first one is promoted as it is")
        announce(first, arguments.models, arguments.mlflow)
        return 0
    _promote(arguments, champion)
    return 0


def _promote(arguments: argparse.Namespace, champion: str) -> None:
    span = _span(arguments)
    champions.check_said(arguments.by, arguments.reason)
    champions.check(arguments.models, arguments.challenger)
    parameters = {"champion": champion, **{name: str(getattr(arguments, name)) for name in
                  ("challenger", "by", "reason", "override", "history", "start", "end")}}  # fmt: skip
    with tracking.run(arguments.mlflow, parameters) as run:
        comparison = _compared(arguments, champion, span)
        against = objections(comparison)
        file = _kept(arguments, comparison, against)
        run.log_comparison(_flat(comparison), file)
        for line in table(comparison, against):
            print(line)
        tracking.set_aliases(arguments.mlflow, {"challenger": arguments.challenger})
        run.tag(refused="; ".join(against), promoted=str(arguments.override or not against))
    if against and not arguments.override:
        raise PromotionError(f"{arguments.challenger} is refused, {champion} stays champion: {'; '.join(against)}")
    promotion = champions.promote(
        arguments.models, arguments.challenger, arguments.by, arguments.reason, expected=champion,
        override=bool(against), figures=str(file.relative_to(arguments.models)),
    )  # fmt: skip
    announce(promotion, arguments.models, arguments.mlflow)


def _span(arguments: argparse.Namespace) -> Span:
    if arguments.history is None or arguments.start is None:
        raise SettingsError(
            "a comparison needs --history and --from: recent operations that the challenger was not trained on"
        )
    if not 0 <= arguments.delay_days <= MOST_DAYS or not 50 <= arguments.resamples <= 100_000:
        raise SettingsError(
            f"seen --delay-days {arguments.delay_days:g}, --resamples {arguments.resamples}; "
            f"allowed 0 to {MOST_DAYS}, 50 to 100000"
        )
    return Span(arguments.start, arguments.end, delay=timedelta(days=arguments.delay_days))


def _compared(arguments: argparse.Namespace, champion: str, span: Span) -> Comparison:
    plan = Plan(DEFINITIONS, RETAINED_ARRIVALS)
    first, second = (released.read(arguments.models / version, plan) for version in (champion, arguments.challenger))
    if (said := caution(first, span)) is not None:
        print(said)
    return compared(arguments.history, first, second, span, arguments.resamples)


def _kept(arguments: argparse.Namespace, comparison: Comparison, against: tuple[str, ...]) -> Path:
    """Write the figures beside the bundles, and where they were asked for."""
    figures = comparison.as_json() | {"objections": against, "from": str(arguments.start), "to": str(arguments.end)}
    folder = arguments.models / FIGURES_FOLDER
    folder.mkdir(exist_ok=True)
    file: Path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{comparison.challenger}.json"
    for target in filter(None, (file, arguments.json)):
        write_json(target, figures)
    return file


def announce(promotion: Promotion, models: Path, mlflow: str) -> None:
    """Say who is champion, here and in MLflow, whose silence does not undo the change."""
    print(f"champion {promotion.after}" + (f" in place of {promotion.before}" if promotion.before else ""))
    aliases = {
        "champion": promotion.after,
        "previous": champion_before(read(models), promotion.after),
        "challenger": promotion.before if promotion.roll_back else None,
    }
    try:
        tracking.set_aliases(mlflow, aliases)
    except TrackingError as error:
        print(f"the champion is changed, MLflow's aliases are not: {error}")


def table(comparison: Comparison, against: tuple[str, ...]) -> Iterator[str]:
    """The comparison as lines for people."""
    yield f"champion   {comparison.champion}"
    yield f"challenger {comparison.challenger}"
    yield f"{comparison.operations:,} operations of {comparison.customers:,} customers, {comparison.frauds:,} frauds"
    yield ""
    yield f"{'':32}{'champion':>28}{'challenger':>28}{'difference':>30}"
    yield from (_line(name, figures) for name, figures in comparison.figures.items())
    if comparison.slices:
        yield "\nrecall at the budget, of each one's frauds"
        yield from (_line(f"{one.name} ({one.frauds:,})", one.recall) for one in comparison.slices)
    worst = worst_slice(comparison)
    yield f"\nworst with {ENOUGH_FRAUDS} frauds and more: {'none' if worst is None else worst.name}"
    yield from (f"against it: {reason}" for reason in against)


def _line(name: str, figures: Figures) -> str:
    def cell(value: float, its: Interval, sign: str = "") -> str:
        return f"{value:{sign}.4f} [{its.low:{sign}.4f}, {its.high:{sign}.4f}]"

    champion = cell(figures.champion, figures.champion_interval)
    challenger = cell(figures.challenger, figures.challenger_interval)
    return f"{name[:32]:32}{champion:>28}{challenger:>28}{cell(figures.difference, figures.difference_interval, '+'):>30}"


def _flat(comparison: Comparison) -> Mapping[str, float]:
    """The figures as MLflow keeps them."""
    found: dict[str, Any] = {}
    for name, figures in comparison.figures.items():
        found |= {f"champion_{name}": figures.champion, f"challenger_{name}": figures.challenger}
        found |= {f"difference_{name}": figures.difference, f"difference_{name}_low": figures.difference_interval.low}
        found[f"difference_{name}_high"] = figures.difference_interval.high
    return {name: value for name, value in found.items() if not math.isnan(value)}
