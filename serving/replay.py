"""A history against Burana: over HTTP, at a rate or as fast as it goes, or in this process.

The order of history is kept in sending; an outcome is sent only when its operation was answered. At a rate the loop is open:
latency counts from the moment at which a record was due, so a slow endpoint cannot hide by slowing its clients.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from tqdm import tqdm

from casework import database as databases
from casework.effectiveness import Effectiveness, effectiveness
from casework.writers import bring_in
from domain.bundle import champion
from domain.decision import Layer, asks
from domain.errors import BuranaError, HistoryError
from domain.events import Outcome, Verdict
from domain.levels import RiskLevel
from features.history import History
from serving import card_key
from serving.app import Burana
from serving.backfill import Arrival, arrivals, entries
from serving.client import Connection, Response, connect
from serving.contracts import Refusal, encode, refusal_of
from serving.settings import Settings

LEVELS = {level.word: int(level) for level in RiskLevel}
ATTEMPTS = 5
ROUTES = {"operation": "/v1/operations", "event": "/v1/events", "outcome": "/v1/outcomes"}
Send = Callable[[str, bytes], Awaitable[Response]]
Flags = NDArray[np.bool_]
Reasons = tuple[tuple[Layer, str], ...]
"""(layer, code) of whatever asked for more than low."""


class _Reason(msgspec.Struct):
    """What replay reads of a reason."""

    layer: Layer
    code: str


class Answer(msgspec.Struct):
    """What replay reads of a decision."""

    level: str
    score: float | None
    reasons: list[_Reason]

    @property
    def stopping(self) -> Reasons:
        """Every reason that asked for more than low, the lot of the control share included; none of an operation that passed."""
        stops = LEVELS[self.level] > RiskLevel.LOW
        return tuple((reason.layer, reason.code) for reason in self.reasons if stops and asks(reason.layer, reason.code))

    @property
    def drawn(self) -> tuple[str, ...]:
        """`control_verified` or `control_passed` where the lot decided, else nothing."""
        return tuple(reason.code for reason in self.reasons if reason.layer is Layer.CONTROL)


@dataclass
class Replayed:
    """What came back. levels, scores, reasons by operation id; latencies of operations in seconds; refusals by status and code.

    control: how many the lot decided, by code.
    """

    levels: dict[str, int] = field(default_factory=dict)
    scores: dict[str, float | None] = field(default_factory=dict)
    reasons: dict[str, Reasons] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    refusals: dict[str, int] = field(default_factory=dict)
    control: Counter[str] = field(default_factory=Counter)
    records: int = 0
    seconds: float = 0.0


async def over_http(history: History, url: str, key: str, rate: float | None, in_flight: int) -> Replayed:
    """Send a history to a running endpoint. rate: records a second, None for as fast as it goes."""
    free: asyncio.Queue[Connection | None] = asyncio.Queue()
    for _ in range(in_flight):
        free.put_nowait(None)

    async def send(path: str, body: bytes) -> Response:
        """Over a free connection, opened when it is needed; once more over a new one when it was closed (repeats are safe)."""
        connection = await free.get()
        try:
            for attempt in range(ATTEMPTS):
                try:
                    connection = connection or await connect(url, key)
                    return await connection.request("POST", path, body)
                except ConnectionError:
                    connection = None
                    if attempt == ATTEMPTS - 1:
                        raise
                    await asyncio.sleep(0.1 * attempt)
            raise AssertionError("the last attempt returns or raises")
        finally:
            free.put_nowait(connection)

    (await connect(url, key)).close()  # nobody there: say so before anything is sent
    try:
        return await _replay(history, send, rate, in_flight)
    finally:
        while not free.empty():
            if (connection := free.get_nowait()) is not None:
                connection.close()


async def in_process(history: History, before: History, settings: Settings) -> Replayed:
    """Send a history through the same path without HTTP, into the ledger of `settings.home`; `before` is brought in first.

    BundleError, and nothing is brought in, when no champion is named and the settings ask for one.
    """
    if settings.require_model:
        champion(settings.models)  # what is missing is said before the ledger is filled, which takes minutes
    burana = Burana(settings)
    with databases.connect(settings.database) as database:
        card_key.use(settings, database)
        bring_in(database, entries(before, 0, settings.identifiers(), datetime.now(UTC)))
    await burana.open()
    handlers = {"/v1/operations": burana.assessor.operation, "/v1/events": burana.assessor.event,
                "/v1/outcomes": burana.assessor.outcome}  # fmt: skip

    async def send(path: str, body: bytes) -> Response:
        try:
            return Response(200, await handlers[path](body))
        except (BuranaError, Refusal) as error:
            refusal = refusal_of(error)
            return Response(refusal.status, refusal.body)

    try:
        return await _replay(history, send, None, 256)
    finally:
        await burana.close()


async def _replay(history: History, send: Send, rate: float | None, in_flight: int) -> Replayed:
    result = Replayed()
    unanswered: dict[str, asyncio.Task[None]] = {}
    running: set[asyncio.Task[None]] = set()
    began = time.perf_counter()
    with tqdm(total=len(history), desc="replay", unit="record", unit_scale=True, delay=2, mininterval=0.5) as progress:
        for number, arrival in enumerate(arrivals(history)):
            due = began + number / rate if rate else None
            if due is not None:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            elif len(running) >= in_flight:
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            record = arrival[3]
            if isinstance(record, Outcome) and (awaited := unanswered.get(record.operation_id)):
                await awaited
            task = asyncio.create_task(_one(send, arrival, due, result))
            running.add(task)
            task.add_done_callback(running.discard)
            if arrival[1] == "operation":
                unanswered[arrival[2]] = task
                task.add_done_callback(lambda _, id_=arrival[2]: unanswered.pop(id_, None))  # type: ignore[misc]
            task.add_done_callback(lambda _: progress.update())
        if running:
            await asyncio.gather(*running)
    result.seconds = time.perf_counter() - began
    return result


async def _one(send: Send, arrival: Arrival, due: float | None, result: Replayed) -> None:
    _, type_, id_, record = arrival
    body = encode(record)
    began = time.perf_counter() if due is None else due
    try:
        response = await send(ROUTES[type_], body)
    except ConnectionError:
        result.refusals["no answer"] = result.refusals.get("no answer", 0) + 1
        return
    result.records += 1
    if response.status != 200:
        code = f"{response.status} {msgspec.json.decode(response.body)['error']['code']}"
        result.refusals[code] = result.refusals.get(code, 0) + 1
    elif type_ == "operation":
        result.latencies.append(time.perf_counter() - began)
        answer = msgspec.json.decode(response.body, type=Answer)
        result.levels[id_], result.scores[id_], result.reasons[id_] = LEVELS[answer.level], answer.score, answer.stopping
        result.control.update(answer.drawn)


@dataclass(frozen=True)
class Compared:
    """Decided operations beside their outcomes, in order of arrival. Every field has one value an operation (n,).

    kinds; times: ms; levels: RiskLevel; scores: NaN for none; known: an outcome is in the history at any time; is_fraud: the
    last outcome says so, and silence counts as genuine, as in the field; schemes: as the outcome of a fraud names it, or
    empty; reasons: what asked for more than low.
    """

    kinds: NDArray[np.str_]
    times: NDArray[np.int64]
    levels: NDArray[np.int64]
    scores: NDArray[np.float64]
    known: Flags
    is_fraud: Flags
    schemes: NDArray[np.str_]
    reasons: tuple[Reasons, ...]

    @property
    def total(self) -> Effectiveness:
        """All decided operations; silence counts as genuine."""
        return effectiveness(self.levels, self.is_fraud)

    def where(self, mask: Flags) -> Effectiveness:
        """Those of a mask (n,)."""
        return effectiveness(self.levels[mask], self.is_fraud[mask])

    def by_kind(self) -> dict[str, Effectiveness]:
        """Per kind of operation."""
        return {str(kind): self.where(self.kinds == kind) for kind in np.unique(self.kinds)}

    def stopped_by_layers(self) -> dict[str, Flags]:
        """The layers that spoke together (`score`, `score + rules`) -> their operations (n,); each stopped one is in one."""
        spoke = [" + ".join(layer for layer in Layer if layer in dict(reasons)) for reasons in self.reasons]
        return {names: np.array([name == names for name in spoke]) for names in sorted(set(spoke) - {""})}

    def stopped_by_reason(self) -> dict[str, Flags]:
        """A reason (`rules: takeover`) -> the operations (n,) that it helped to stop; one may be under several."""
        every = sorted({reason for reasons in self.reasons for reason in reasons})
        return {
            f"{layer}: {code}": np.array([(layer, code) in reasons for reasons in self.reasons]) for layer, code in every
        }


def compare(history: History, replayed: Replayed) -> Compared:
    """What was answered beside what every outcome of the whole history says; HistoryError when nothing was answered."""
    operations = history.operations
    ids = operations["operation_id"].to_pylist()
    rows = [row for row, id_ in enumerate(ids) if id_ in replayed.levels]
    if not rows:
        raise HistoryError(f"no operation of the span was answered; refusals: {replayed.refusals or 'none'}")
    place = pc.index_in(history.outcomes["operation_id"], operations["operation_id"])
    known, fraud, schemes = np.zeros(len(ids), np.bool_), np.zeros(len(ids), np.bool_), np.zeros(len(ids), object)
    there = place.is_valid().to_numpy()
    index = place.drop_null().to_numpy().astype(np.int64)
    known[index] = True
    fraud[index] = pc.equal(history.outcomes["verdict"], Verdict.FRAUD.value).to_numpy()[there]  # the last outcome stays
    schemes[index] = history.outcomes["scheme"].fill_null("").to_numpy()[there]
    scores = [replayed.scores[ids[row]] for row in rows]
    return Compared(
        kinds=np.array(operations["kind"].to_pylist(), dtype=object)[rows].astype(np.str_),
        times=operations["occurred_at"].cast("int64").to_numpy()[rows],
        levels=np.array([replayed.levels[ids[row]] for row in rows], np.int64),
        scores=np.array([np.nan if score is None else score for score in scores]),
        known=known[rows], is_fraud=fraud[rows], schemes=np.where(fraud, schemes, "")[rows].astype(np.str_),
        reasons=tuple(replayed.reasons[ids[row]] for row in rows),
    )  # fmt: skip


def report(replayed: Replayed, compared: Compared) -> dict[str, Any]:
    """Every figure of a replay, by name."""
    latencies = np.array(replayed.latencies) * 1000
    quantiles = {
        name: float(np.quantile(latencies, q)) for name, q in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999))
    }
    return {
        "operations": len(replayed.levels), "records": replayed.records, "seconds": replayed.seconds,
        "records_per_second": replayed.records / replayed.seconds, "refusals": replayed.refusals,
        "latency_ms": quantiles | {"max": float(latencies.max())}, "share_with_outcome": float(compared.known.mean()),
        "control": dict(replayed.control), "effectiveness": compared.total.figures(),
        "by_kind": {kind: figures.figures() for kind, figures in compared.by_kind().items()},
    }  # fmt: skip


def table(figures: dict[str, Any]) -> Iterator[str]:
    """The figures as lines for people."""
    total = figures["effectiveness"]
    yield f"{'':10}{'fraud':>12}{'genuine':>12}"
    for level in ("high", "medium", "low"):
        yield f"{level:10}{total[f'fraud_{level}']:>12,}{total[f'genuine_{level}']:>12,}"
    recall, missed, at_once = (_told(total[name]) for name in ("recall", "missed", "high_recall"))
    yield f"recall (stopped: medium or high)      {recall}   missed {missed}   rejected at once {at_once}"
    yield f"precision of the stopped              {_told(total['precision'])}"
    yield f"false positives, share of the stopped {_told(total['false_positives_of_stopped'])}"
    yield f"false positives, share of the genuine {_told(total['false_positives_of_genuine'], 5)}"
    yield f"operations with a known outcome       {figures['share_with_outcome']:.1%} (silence counts as genuine)"
    if drawn := figures["control"]:
        counts = drawn.get("control_verified", 0), drawn.get("control_passed", 0)
        yield f"decided by lot as a control           {counts[0]:,} verified, {counts[1]:,} let pass"
    for kind, row in figures["by_kind"].items():
        frauds = sum(row[f"fraud_{level}"] for level in ("low", "medium", "high"))
        genuine = sum(row[f"genuine_{level}"] for level in ("low", "medium", "high"))
        recall, stopped = _told(row["recall"]), _told(row["false_positives_of_genuine"], 5)
        yield f"  {kind:24} {frauds:>6,} frauds of {frauds + genuine:>8,}  recall {recall}  genuine stopped {stopped}"
    yield "latency ms  " + "  ".join(f"{name} {value:.2f}" for name, value in figures["latency_ms"].items())
    yield (
        f"{figures['operations']:,} operations, {figures['records']:,} records in {figures['seconds']:.1f} s: "
        f"{figures['records_per_second']:,.0f} records/s, refusals {figures['refusals'] or 'none'}"
    )


def _told(share: float, digits: int = 3) -> str:
    """A share; of nothing there is none."""
    return "-" if math.isnan(share) else f"{share:.{digits}f}"
