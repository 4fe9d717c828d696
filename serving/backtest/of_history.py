"""Operations of a canonical history for a backtest: vectors by replaying in order, decisions where the history has them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from domain import instants
from domain.decision import Layer
from domain.errors import EmptyPeriodError, SettingsError
from domain.events import Verdict
from domain.levels import RiskLevel
from features.ahead import ahead
from features.arrivals import rows_of_history
from features.engine import Engine, numbered
from features.feature_set import FeatureSet
from features.history import History, cut
from features.labels import UNKNOWN
from features.layout import Fact, Word
from features.plan import Plan
from features.profiles import PROFILE_NAMES
from features.slices import Slice, slices_in_memory
from serving.backtest.heard import UNDECIDED, Integers, Levels
from serving.backtest.recorded import CHUNK, Recorded
from serving.backtest.resampling import Floats
from serving.recomputed_profiles import NOT_COMPARED, Asked, by_batch
from serving.scoring import Model

WORDS = {level.word: int(level) for level in RiskLevel}
OTHER_LAYERS = {Layer.REGISTRY.value, Layer.BASIC.value, Layer.SYSTEM.value}


class HistorySource:
    """What arrived up to the first arrival at or after a moment; see `features.history.cut`.

    Every operation's vector is made again from what arrived before it; profiles are made only where a rule or the model reads one.
    """

    def __init__(self, history: History, plan: Plan, names: tuple[str, ...], start: int, end: int, as_of: int | None,
                 model: Model | None = None) -> None:  # fmt: skip
        """start, end: ms, the operations with start <= occurred_at < end are heard; as_of: ms, None for after all that is there.

        model: gives the scores where the history has no decisions, None for none. SettingsError where it may have been trained on
        them, or where the period is empty.
        """
        self.as_of = _after_last(history) if as_of is None else as_of
        self._history = history if as_of is None else cut(history, None, instants.from_ms(as_of))
        self._plan, self._names, self._start, self._end, self._model = plan, names, start, end, model
        times = self._history.operations["occurred_at"].cast(pa.int64()).to_numpy()
        self._heard = (times >= start) & (times < end)
        self.total = int(self._heard.sum())
        if not self.total:
            raise EmptyPeriodError("the history has no operation in this period; see --from, --to and --as-of")
        _refuse_what_was_trained_on(model, int(times[self._heard].min()))
        self._decided = _Decided(self._history)
        asks_for_profiles = not set(PROFILE_NAMES).isdisjoint(names) or (model is not None and model.asks_for_profiles)
        self._features = FeatureSet(plan, asks_for_profiles)

    def chunks(self) -> Iterator[Recorded]:
        """The operations of the period, in order."""
        engine, table, seen, arrived = Engine(self._plan), self._history.operations, 0, 0
        profiles = _profiles(self._history) if self._features.with_profiles else None
        for piece in ahead(slices_in_memory(self._history, 2 * CHUNK)):
            count = piece.operations.num_rows
            asked = self._asked(piece)
            matrix = np.empty((int(asked.sum()), len(self._plan)))
            engine.replay(piece.rows, matrix, numbered(asked))
            if profiles is not None:
                matrix = np.concatenate([matrix, profiles[arrived : arrived + len(asked)][asked]], axis=1)
            heard = table.slice(seen, count).filter(pa.array(self._heard[seen : seen + count]))
            seen, arrived = seen + count, arrived + len(asked)
            if heard.num_rows:
                yield self._chunk(heard, piece.rows[asked], matrix)

    def verdicts(self) -> Levels:
        """(n,) what the last outcome says of each operation."""
        operations, outcomes = self._history.operations.filter(pa.array(self._heard)), self._history.outcomes
        place = pc.index_in(outcomes["operation_id"], operations["operation_id"])
        found = place.is_valid().to_numpy()
        verdicts = np.full(operations.num_rows, UNKNOWN, np.int8)
        is_fraud = pc.equal(outcomes["verdict"], Verdict.FRAUD.value).to_numpy()[found]
        verdicts[place.drop_null().to_numpy().astype(np.int64)] = is_fraud  # arrival order: the last one stays
        return verdicts

    @property
    def policy_names(self) -> list[str]:
        """None: a history does not say which rules were in force."""
        return []

    def _asked(self, piece: Slice) -> NDArray[np.bool_]:
        times = piece.rows[:, Word.TIME]
        return piece.asked(None) & (times >= self._start) & (times < self._end)

    def _chunk(self, table: pa.Table, rows: Integers, matrix: Floats) -> Recorded:
        decided = self._decided.of(table)
        scores = decided["scores"]
        if self._model is not None:
            scores = np.where(np.isnan(scores), self._model.score_many(matrix)[1], scores)
        columns = [self._features.names.index(name) for name in self._names]
        return Recorded(
            records=table, times=rows[:, Word.TIME].copy(), amounts=rows[:, Word.AMOUNT].copy(),
            customers=rows[:, Word.CUSTOMER].copy(), kinds=rows[:, Word.KIND].astype(np.int8), vectors=matrix[:, columns],
            hits={}, spoke={},
            policies=np.full(len(rows), -1), **(decided | {"scores": scores}),
        )  # fmt: skip


class _Decided:
    """What was decided of operations, where the history says so (`burana export`)."""

    def __init__(self, history: History) -> None:
        self._table = history.decisions
        self._sequences = np.empty(0, np.int64) if self._table is None else self._table["sequence"].to_numpy()

    def of(self, operations: pa.Table) -> dict[str, Any]:
        """The level answered, the score, and what the score and the other layers gave, (n,) each; nothing where nothing was decided."""
        count = operations.num_rows
        found = {
            "recorded": np.full(count, UNDECIDED, np.int8), "scores": np.full(count, np.nan),
            "by_score": np.zeros(count, np.int8), "others": np.zeros(count, np.int8),
        }  # fmt: skip
        if self._table is not None:
            sequences = operations["sequence"].to_numpy()
            place = np.flatnonzero(np.isin(sequences, self._sequences))
            decided = self._table.take(pa.array(np.searchsorted(self._sequences, sequences[place])))
            for at, row in zip(place.tolist(), decided.to_pylist(), strict=True):
                found["recorded"][at] = WORDS[row["level"]]
                found["by_score"][at], found["others"][at] = _by_score_and_others(row)
                found["scores"][at] = np.nan if row["score"] is None else row["score"]
        return found


def _by_score_and_others(row: dict[str, Any]) -> tuple[int, int]:
    """The levels that score and other layers gave, as far as a history says: which layers asked, not for which level."""
    asked, would_be = set(row["asked"]), WORDS[row["would_be"]]
    if asked <= {Layer.SCORE.value}:
        return would_be, int(RiskLevel.LOW)
    if Layer.RULES.value not in asked:
        return int(RiskLevel.LOW), would_be
    return _least(Layer.SCORE.value in asked), _least(bool(asked & OTHER_LAYERS))


def _least(has_asked: bool) -> int:
    return int(RiskLevel.MEDIUM if has_asked else RiskLevel.LOW)


def _profiles(history: History) -> Floats:
    """(arrivals, len(PROFILE_NAMES)) of every operation as of its day; NaN elsewhere."""
    rows, _ = rows_of_history(history)
    behind = np.where(rows[:, Word.FACTS] & int(Fact.OPERATION), 0, NOT_COMPARED)
    return by_batch(Asked(rows, behind, np.full(len(rows), "", dtype="U64")))[0]


def _refuse_what_was_trained_on(model: Model | None, first: int) -> None:
    """SettingsError: on what it was trained on any model finds nearly all fraud."""
    trained_to = None if model is None else model.manifest.trained_to
    if trained_to is not None and instants.to_ms(trained_to) > first:
        raise SettingsError(
            f"{model.version if model else ''} may have been trained on operations before {trained_to:%Y-%m-%d}; name a later --from"
        )


def _after_last(history: History) -> int:
    times = ((history.operations, "occurred_at"), (history.events, "occurred_at"), (history.outcomes, "known_at"))
    return 1 + max(int(table[column].cast(pa.int64()).to_numpy().max(initial=0)) for table, column in times)
