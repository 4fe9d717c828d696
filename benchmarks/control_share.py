"""What a control share tells: recall as it is, as known outcomes say, and weighted by inverse propensity, side by side.

    python -m benchmarks.control_share [--seeds 4] [--draws 60] [--json FILE]

For each seed a world is simulated, a model trained on its first part, and the rest decided by the whole path in this process
with the control shares of the settings. Then outcomes come as they do in life: people say of what was stopped what it was, of
what passed only reported fraud becomes known. The lot is drawn again many times over the same decisions, to see bias and
spread of the estimates. A simulated world: what is shown is how the estimates behave, not how good detection is. What was
stopped does not change what the world does next.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from tqdm import tqdm

from casework.ledger import reading
from domain.decision import Layer
from domain.events import OutcomeSource, Verdict
from domain.json_file import add_json, write_json
from domain.levels import RiskLevel
from features import history as histories
from features.history import History, cut
from features.labels import UNKNOWN
from serving import replay
from serving.control import Lots, Shares, controlled
from serving.export import export
from serving.settings import Settings
from training import figures
from training.boosting import Boosting
from training.bundles import set_champion
from training.dataset import labels_as_of
from training.pipeline import FitSettings
from training.propensity import weigh
from training.simulator import WorldSettings, simulate, write
from training.thresholds import Capacity
from training.train import TrainSettings, train

DELAY = timedelta(days=7)
"""Until silence counts as genuine; operations younger than that at the end are not looked at."""
CAPACITY = Capacity(alerts_per_1000=30)
"""A world with two frauds in a hundred operations needs more people than usual."""
VERDICT_AFTER = pa.scalar(12 * 3_600_000, pa.duration("ms"))
"""How long people take to verify an operation."""
Figures = dict[str, Any]
ESTIMATES = ("truth", "naive", "weighted")


@dataclass(frozen=True)
class Decided:
    """The later operations of a world, in order of arrival, as they were decided.

    operations, outcomes, decisions: tables of a history, the outcomes being those that become known if everything passes;
    is_fraud: (n,) int8, what each really was; medium: the score from which one is stopped; as_of: when the figures are made.
    """

    operations: pa.Table
    outcomes: pa.Table
    decisions: pa.Table
    is_fraud: NDArray[np.int8]
    medium: float
    as_of: datetime

    @cached_property
    def heard(self) -> list[tuple[str, RiskLevel, frozenset[Layer]]]:
        """Of each operation: id, level without the lot, and the layers that asked for more than low."""
        ids, words, layers = (self.decisions[name].to_pylist() for name in ("operation_id", "would_be", "asked"))
        levels, asked = [RiskLevel[word.upper()] for word in words], [frozenset(map(Layer, said)) for said in layers]
        return list(zip(ids, levels, asked, strict=True))

    @cached_property
    def truth(self) -> "Estimate":
        """What the estimates are of."""
        return _estimate(self.is_fraud, self.decisions["score"].to_numpy(), self.medium, np.ones(len(self.is_fraud)))


@dataclass(frozen=True)
class Estimate:
    """recall, precision: of stopping from the score `medium` on; ap: average precision of the score; frauds: among all."""

    recall: float
    precision: float
    ap: float
    frauds: float


def decided(world: WorldSettings, train_days: int, trees: int, shares: Shares, folder: Path) -> Decided:
    """Simulate a world, train on its first days, and decide the rest by the whole path."""
    simulated = simulate(world)
    write(simulated, folder / "history")
    first, end = world.start + timedelta(days=train_days), world.start + timedelta(days=world.days)
    fitting = FitSettings(boosting=Boosting(trees=trees), policy=CAPACITY)
    trained = TrainSettings(end=first, warm_up=timedelta(0), parity_rows=2_000, fit=fitting)
    _, manifest, _ = train(folder / "history", folder / "models", f"sqlite:///{folder}/mlflow.db", trained)
    set_champion(folder / "models", manifest.version)
    ledgers = _served(simulated.history, first, shares, folder)
    asked = histories.between(ledgers.operations, "occurred_at", None, end - DELAY)["sequence"].combine_chunks()
    assert ledgers.decisions is not None, "an export has decisions"
    decisions = ledgers.decisions.filter(pc.is_in(ledgers.decisions["sequence"], asked))
    operations = ledgers.operations.filter(pc.is_in(ledgers.operations["sequence"], decisions["sequence"].combine_chunks()))
    place = pc.index_in(operations["operation_id"], simulated.truth["operation_id"].combine_chunks()).to_numpy()
    is_fraud = simulated.truth["scheme"].is_valid().to_numpy()[place].astype(np.int8)
    return Decided(operations, ledgers.outcomes, decisions, is_fraud, manifest.thresholds.medium, end)


def _served(history: History, first: datetime, shares: Shares, folder: Path) -> History:
    """The export of a ledger into which everything before `first` was brought, and that decided what came after."""
    settings = Settings(home=folder / "home", models=folder / "models", control_verify_share=shares.verified,
                        control_pass_share=shares.passed)  # fmt: skip
    asyncio.run(replay.in_process(cut(history, first, None), cut(history, None, first), settings))
    with reading(settings.database) as ledger:
        export(ledger, folder / "ledger")
    return histories.read(folder / "ledger")


def drawn_again(world: Decided, lots: Lots, shares: Shares) -> pa.Table:
    """The same decisions with other lots."""
    made = [controlled(would_be, asked, lots.draw(id_), shares) for id_, would_be, asked in world.heard]
    decisions = world.decisions
    columns = {
        "level": [control.level.word for control in made], "action": [control.level.action.value for control in made],
        "propensity": [control.propensity for control in made],
    }  # fmt: skip
    for name, values in columns.items():
        place = decisions.schema.get_field_index(name)
        decisions = decisions.set_column(place, decisions.schema.field(name), pa.array(values))
    return decisions


def as_they_come(world: Decided, decisions: pa.Table) -> pa.Table:
    """The outcomes that become known under these decisions: verdicts of what was stopped, reports of what passed."""
    stopped = pc.not_equal(decisions["level"], RiskLevel.LOW.word)
    ids = world.operations["operation_id"].filter(stopped)
    fraud = pa.array(world.is_fraud == 1).filter(stopped.combine_chunks())
    columns = {
        "sequence": world.operations["sequence"].filter(stopped),
        "outcome_id": pc.binary_join_element_wise("verified", ids, "-"),
        "operation_id": ids,
        "verdict": pc.if_else(fraud, Verdict.FRAUD.value, Verdict.LEGITIMATE.value),
        "known_at": pc.add(world.operations["occurred_at"].filter(stopped), VERDICT_AFTER),
        "source": pa.array([OutcomeSource.VERIFICATION.value] * len(ids)),
        "scheme": pa.nulls(len(ids), pa.string()),
    }
    verdicts = pa.table(columns).cast(histories.OUTCOMES)
    reports = world.outcomes.filter(pc.invert(pc.is_in(world.outcomes["operation_id"], ids.combine_chunks())))
    return pa.concat_tables([reports, verdicts])


def estimates(world: Decided, decisions: pa.Table) -> dict[str, Estimate]:
    """The truth, what known outcomes say when silence counts as genuine, and the weighted."""
    outcomes = as_they_come(world, decisions)
    scores = decisions["score"].to_numpy()
    naive = labels_as_of(world.operations, outcomes, world.as_of, DELAY, decisions)
    known, weighted = naive != UNKNOWN, weigh(world.operations, outcomes, decisions, world.as_of).seen()
    return {
        "truth": world.truth,
        "naive": _estimate(naive[known], scores[known], world.medium, np.ones(int(known.sum()))),
        "weighted": _estimate(weighted.labels, weighted.scores, world.medium, weighted.weights),
    }


def _estimate(
    labels: NDArray[np.int8], scores: NDArray[np.float64], medium: float, weights: NDArray[np.float64]
) -> Estimate:
    caught = figures.at_threshold(labels, scores, np.ones(len(labels), np.int64), medium, weights)
    return Estimate(caught.recall, caught.precision, figures.ap(labels, scores, weights), float((weights * labels).sum()))


def over_lots(world: Decided, shares: Shares, draws: int) -> Iterator[dict[str, Estimate]]:
    """The estimates of `draws` lots over the same decisions."""
    for number in tqdm(range(draws), desc="lots", delay=2, leave=False):
        yield estimates(world, drawn_again(world, Lots(b"lot %d" % number), shares))


def summary(found: list[dict[str, Estimate]]) -> dict[str, dict[str, dict[str, float]]]:
    """Estimate -> figure -> mean, bias (mean less the truth), sd and root mean square error over the lots."""
    table: dict[str, dict[str, dict[str, float]]] = {name: {} for name in ESTIMATES}
    for figure in ("recall", "precision", "ap", "frauds"):
        truth = getattr(found[0]["truth"], figure)
        for name in ESTIMATES:
            values = np.array([getattr(one[name], figure) for one in found])
            table[name][figure] = {
                "mean": float(values.mean()), "bias": float(values.mean() - truth), "sd": float(values.std()),
                "rmse": float(np.sqrt(((values - truth) ** 2).mean())),
            }  # fmt: skip
    return table


def study(world: WorldSettings, train_days: int, shares: Shares, draws: int) -> Figures:
    """One world: what was served, and bias and spread over lots."""
    with tempfile.TemporaryDirectory() as folder:
        served = decided(world, train_days, 300, shares, Path(folder))
    weighted = weigh(served.operations, as_they_come(served, served.decisions), served.decisions, served.as_of)
    found = list(over_lots(served, shares, draws))
    return {
        "seed": world.seed, "operations": served.operations.num_rows, "frauds": int(served.is_fraud.sum()),
        "served": {name: vars(one) for name, one in estimates(served, served.decisions).items()},
        "effective": weighted.effective, "effective_frauds": weighted.effective_frauds, "clipped": weighted.clipped,
        "words": weighted.words,
        "over_lots": summary(found), "recalls": {name: [one[name].recall for one in found] for name in ESTIMATES},
    }  # fmt: skip


def main() -> None:
    """Study and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--customers", type=int, default=2_000)
    parser.add_argument("--days", type=int, default=50)
    parser.add_argument("--train-days", type=int, default=28)
    parser.add_argument("--fraud-share", type=float, default=0.02)
    parser.add_argument("--verify-share", type=float, default=0.1)
    parser.add_argument("--pass-share", type=float, default=0.05)
    add_json(parser)
    arguments = parser.parse_args()
    shares = Shares(arguments.verify_share, arguments.pass_share)
    studies = []
    for seed in range(1, arguments.seeds + 1):
        world = WorldSettings(
            seed=seed, customers=arguments.customers, days=arguments.days, fraud_share=arguments.fraud_share
        )
        studies.append(study(world, arguments.train_days, shares, arguments.draws))
        print("\n".join(_lines(studies[-1])), flush=True)
        write_json(arguments.json, {"shares": shares, "studies": studies})


def _lines(one: Figures) -> Iterator[str]:
    table = one["over_lots"]
    yield f"seed {one['seed']}: {one['operations']:,} operations, {one['frauds']:,} frauds. As served: {one['words']}"
    for figure in ("recall", "precision", "ap", "frauds"):
        truth = table["truth"][figure]["mean"]
        cells = (f"{name} {row['mean']:.3f} bias {row['bias']:+.3f} sd {row['sd']:.3f} rmse {row['rmse']:.3f}"
                 for name in ESTIMATES[1:] if (row := table[name][figure]))  # fmt: skip
        yield f"  {figure:10} truth {truth:.3f}   " + "   ".join(cells)


if __name__ == "__main__":
    main()
