"""Operations of a ledger for a backtest: vectors, scores, hits and levels as they were recorded."""

import itertools
from collections.abc import Iterator

import msgspec
import numpy as np

from casework.ledger import Entry, Ledger
from casework.registry import Hit
from domain.decision import Decision, Layer
from domain.errors import EmptyPeriodError
from domain.events import Verdict
from domain.levels import RiskLevel
from domain.listing import List
from domain.operation import IDENTIFIER_FIELDS, PARTS
from features.engine import Engine, numbered
from features.feature_set import FeatureSet
from features.labels import UNKNOWN
from features.layout import Fact, Word
from features.plan import Plan
from serving import recovery
from serving.backtest.heard import SHADOW, UNDECIDED, Integers, Levels, Voice
from serving.backtest.listed import LEVEL
from serving.backtest.recorded import CHUNK, Recorded
from serving.backtest.resampling import Floats
from serving.contracts import OUTCOME

KINDS = {f"{part}.{name}": kind for part, struct in PARTS.items() for name, kind in IDENTIFIER_FIELDS[struct].items()}
BY_SCORE = {f"score_{level.word}": level for level in RiskLevel}
WORDS = {level.word: level for level in RiskLevel}


class _Hit(msgspec.Struct):
    field: str
    list: List
    entry_id: int


class _Evidence(msgspec.Struct):
    """What is read of a decision's evidence."""

    declarations: str = ""
    registry: list[_Hit] = []
    shadow: list[str] = []


_DECISION, _EVIDENCE = msgspec.json.Decoder(Decision), msgspec.json.Decoder(_Evidence)


class LedgerSource:
    """Everything that a ledger holds up to the first arrival at or after a moment.

    A vector that was recorded under the running declarations is taken as it is. Where there is none (an operation that came in
    with a history, or another release's) it is made by replaying what the ledger has before it, without profiles.
    """

    def __init__(self, ledger: Ledger, plan: Plan, names: tuple[str, ...], start: int, end: int, as_of: int | None,
                 after: int = 0) -> None:  # fmt: skip
        """start, end: ms, the operations with start <= occurred_at < end are heard; as_of: ms, None for after all that is there.

        after: entries up to this number are left out, unread. EmptyPeriodError where nothing is left.
        """
        self._ledger, self._period, self._names = ledger, (start, end), names
        self._places = {of.hash: _places(of, names) for of in (FeatureSet(plan, False), FeatureSet(plan))}
        self._behaviour = _Behaviour(ledger, plan)
        self._columns = _places(FeatureSet(plan, False), names)
        self._after, self._up_to, self.total, self.as_of = _span(ledger, self._period, as_of, after)
        self._verdicts: list[int] = []
        self._numbers: dict[str, int] = {}
        self._policies: dict[str, int] = {}

    def chunks(self) -> Iterator[Recorded]:
        """The operations of the period, in order."""
        entries = self._ledger.read(self._after, self._up_to)
        while page := list(itertools.islice(entries, CHUNK)):
            rows = recovery.rows_of(self._ledger, [(entry.sequence, entry.row, entry.encoding) for entry in page])
            asked = _asked(rows, self._period)
            operations = [entry for entry, is_asked in zip(page, asked.tolist(), strict=True) if is_asked]
            chunk = self._chunk(operations, rows[asked], self._vectors(page, rows, asked, operations))
            self._note(page, operations)
            if operations:
                yield chunk

    def verdicts(self) -> Levels:
        """(n,) what the last outcome says of each operation."""
        return np.array(self._verdicts, np.int8)

    def _policy(self, name: str) -> int:
        if not name:
            return -1
        return self._policies.setdefault(name, len(self._policies))

    @property
    def policy_names(self) -> list[str]:
        """The rule sets that were in force, as far as operations have come."""
        return list(self._policies)

    def _note(self, page: list[Entry], operations: list[Entry]) -> None:
        """Outcomes come after their operation, and may come in the same page."""
        for entry in operations:
            self._numbers[entry.id] = len(self._verdicts)
            self._verdicts.append(UNKNOWN)
        for entry in page:
            if entry.type == "outcome":
                outcome = OUTCOME.decode(entry.body)
                if (number := self._numbers.get(outcome.operation_id)) is not None:
                    self._verdicts[number] = int(outcome.verdict is Verdict.FRAUD)

    def _chunk(self, operations: list[Entry], rows: Integers, vectors: Floats) -> Recorded:
        said = [_Said(entry) for entry in operations]
        return Recorded(
            records=[entry.body for entry in operations], times=rows[:, Word.TIME].copy(), amounts=rows[:, Word.AMOUNT].copy(),
            customers=rows[:, Word.CUSTOMER].copy(), kinds=rows[:, Word.KIND].astype(np.int8),
            recorded=np.array([one.level for one in said], np.int8), vectors=vectors,
            scores=np.array([one.score for one in said]), by_score=np.array([one.by_score for one in said], np.int8),
            others=np.array([one.others for one in said], np.int8),
            hits={place: one.hits for place, one in enumerate(said) if one.hits},
            spoke=_by_voice(said), policies=np.array([self._policy(one.policy) for one in said], np.int64),
        )  # fmt: skip

    def _vectors(self, page: list[Entry], rows: Integers, asked: np.ndarray, operations: list[Entry]) -> Floats:
        vectors = np.full((len(operations), len(self._names)), np.nan)
        if not self._names:
            return vectors
        missing = np.ones(len(operations), np.bool_)
        for place, entry in enumerate(operations):
            columns = self._places.get(_EVIDENCE.decode(entry.evidence or b"{}").declarations)
            if entry.vector is not None and columns is not None:
                vectors[place] = _taken(np.frombuffer(entry.vector, "<f8"), columns)
                missing[place] = False
        wanted = np.zeros(len(rows), np.bool_)
        wanted[np.flatnonzero(asked)[missing]] = True
        made = self._behaviour.of(page[0].sequence, rows, wanted)
        vectors[missing] = _taken(made, self._columns)
        return vectors


class _Behaviour:
    """Vectors by replaying; begins with the first that is missing, and then takes every page."""

    def __init__(self, ledger: Ledger, plan: Plan) -> None:
        self._ledger, self._plan = ledger, plan
        self._engine: Engine | None = None

    def of(self, first: int, rows: Integers, wanted: np.ndarray) -> Floats:
        """(wanted, features) of a page that begins with a sequence number."""
        made = np.empty((int(wanted.sum()), len(self._plan)))
        if self._engine is None and wanted.any():
            self._engine = self._caught_up(first)
        if self._engine is not None:
            self._engine.replay(rows, made, numbered(wanted))
        return made

    def _caught_up(self, before: int) -> Engine:
        engine, nothing = Engine(self._plan), np.empty((0, len(self._plan)))
        for chunk in self._ledger.rows():
            rows = recovery.rows_of(self._ledger, [row for row in chunk if row[0] < before])
            engine.replay(rows, nothing, np.full(len(rows), -1))
            if chunk[-1][0] >= before - 1:
                break
        return engine


class _Said:
    """What was answered to one operation, by layers; nothing of one that came in with a history."""

    def __init__(self, entry: Entry) -> None:
        self.level, self.score = UNDECIDED, np.nan
        self.hits: tuple[Hit, ...] = ()
        self.voices: list[Voice] = []
        self.policy = ""
        self.by_score = self.others = int(RiskLevel.LOW)
        if entry.answer is None:
            return
        decision: Decision = _DECISION.decode(entry.answer)
        evidence: _Evidence = _EVIDENCE.decode(entry.evidence or b"{}")
        self.level = int(WORDS[decision.level])
        self.score = np.nan if decision.score is None else decision.score
        self.hits = tuple(Hit(hit.field, KINDS[hit.field], hit.list, hit.entry_id) for hit in evidence.registry)
        self.others = int(max((LEVEL[hit.list] for hit in self.hits), default=RiskLevel.LOW))
        self.policy = decision.policy
        self._reasons(decision)
        self.voices += [Voice(SHADOW, name, None) for name in evidence.shadow]

    def _reasons(self, decision: Decision) -> None:
        self.voices = [Voice(reason.layer.value, reason.code, reason.criterion) for reason in decision.reasons]
        for reason in decision.reasons:
            if reason.layer is Layer.SCORE and reason.code in BY_SCORE:
                self.by_score = int(BY_SCORE[reason.code])
            elif reason.layer is Layer.BASIC or (reason.layer is Layer.SYSTEM and reason.code != "rule_failed"):
                self.others = max(self.others, int(RiskLevel.MEDIUM))


def _by_voice(said: list[_Said]) -> dict[Voice, list[int]]:
    spoke: dict[Voice, list[int]] = {}
    for place, one in enumerate(said):
        for voice in dict.fromkeys(one.voices):
            spoke.setdefault(voice, []).append(place)
    return spoke


def _places(of: FeatureSet, names: tuple[str, ...]) -> Integers:
    """Where each name stands in a vector, -1 where it has none."""
    known = {name: place for place, name in enumerate(of.names)}
    return np.array([known.get(name, -1) for name in names], np.int64)


def _taken(vectors: Floats, columns: Integers) -> Floats:
    """The columns of vectors (..., features), NaN where there is none."""
    return np.where(columns >= 0, vectors[..., columns], np.nan)


def _asked(rows: Integers, period: tuple[int, int]) -> np.ndarray:
    is_operation = rows[:, Word.FACTS] & int(Fact.OPERATION) != 0
    return is_operation & (rows[:, Word.TIME] >= period[0]) & (rows[:, Word.TIME] < period[1])


def _span(ledger: Ledger, period: tuple[int, int], as_of: int | None, begin: int) -> tuple[int, int, int, int]:
    """(after, up to) the sequence numbers that are read, how many operations are heard, and the moment.

    Read is from the first arrival in the period to the last before the first at or after the moment: the order of arrival is cut,
    as in a history, so a late one is never seen before it came. EmptyPeriodError where nothing is left.
    """
    after, up_to, total, latest = None, 0, 0, 0
    for chunk in ledger.rows(begin):
        rows = recovery.rows_of(ledger, chunk)
        times = rows[:, Word.TIME]
        beyond = np.flatnonzero(times >= as_of) if as_of is not None else np.empty(0, np.int64)
        rows = rows[: beyond[0]] if len(beyond) else rows
        inside = np.flatnonzero(rows[:, Word.TIME] >= period[0])
        if after is None and len(inside):
            after = chunk[int(inside[0])][0] - 1
        total += int(_asked(rows, period).sum())
        if len(rows):
            up_to, latest = chunk[len(rows) - 1][0], max(latest, int(rows[:, Word.TIME].max()))
        if len(beyond):
            break
    if not total or after is None:
        raise EmptyPeriodError("the ledger has no operation in this period; see --from, --to and --as-of")
    return after, up_to, total, as_of if as_of is not None else latest + 1
