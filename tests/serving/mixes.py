"""What several callers do at once, by a seed: new records, repeats, duplicates in flight, rivals under one id, races of outcomes."""

import asyncio
import json
import random
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from typing import Any, NamedTuple

from domain.levels import RiskLevel
from serving.client import Connection, connect
from tests.serving.examples import body, event, operation, outcome
from tests.serving.running import Server

OPERATIONS, EVENTS, OUTCOMES = "/v1/operations", "/v1/events", "/v1/outcomes"
WORKERS, WIDTH = 4, 3
"""Callers, and connections of each: an action is sent over as many of them at the same time."""
Sent = tuple[str, bytes]
TAKEN, AWAY = 200, 503


class Attempt(NamedTuple):
    """What is sent, and with which statuses it may be answered while the database is there."""

    sent: Sent
    allowed: frozenset[int]


Action = list[Attempt]
MAKERS: dict[str, Callable[..., dict[str, Any]]] = {OPERATIONS: operation, EVENTS: event, OUTCOMES: outcome}
OTHERWISE = {OPERATIONS: "purpose", EVENTS: "operation_id", OUTCOMES: "scheme"}
"""The field by which a record is made another one under the same id; each takes `other` and `card_misuse`."""
ID = {OPERATIONS: "operation_id", EVENTS: "event_id", OUTCOMES: "outcome_id"}


class Mix:
    """An endless stream of actions; it knows what was acknowledged and holds every answer against that."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.acknowledged: dict[Sent, bytes] = {}
        self.unknown: dict[Sent, frozenset[int]] = {}
        self.seen = dict.fromkeys((action.__name__ for action in ACTIONS), 0)
        self._known: dict[str, list[int]] = {route: [] for route in MAKERS}
        self._last = 0

    def next(self) -> Action:
        """What is sent together."""
        action = self.draw.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        self.seen[action.__name__] += 1
        return action(self)

    def new(self) -> int:
        """A number under which nothing was sent before."""
        self._last += 1
        return self._last

    def known(self, route: str) -> int | None:
        """The number of an acknowledged record of a route, None before there is any."""
        return self.draw.choice(self._known[route]) if self._known[route] else None

    def answered(self, attempt: Attempt, status: int, answer: bytes) -> None:
        """Hold an answer against what may be answered, and against the answer that was given before."""
        sent = attempt.sent
        if status != TAKEN:
            assert status in attempt.allowed | {AWAY}, answer
            assert sent not in self.acknowledged or status == AWAY, f"acknowledged and now refused: {answer!r}"
            if status == AWAY:
                self.unheard(attempt)
            return
        assert TAKEN in attempt.allowed, f"the same id with another body was taken: {answer!r}"
        if sent not in self.acknowledged:
            self._learn(sent, answer)
        assert self.acknowledged[sent] == answer, "a repeat got other bytes"

    def unheard(self, attempt: Attempt) -> None:
        """The end of an attempt is not known: it is made again later."""
        if attempt.sent not in self.acknowledged and TAKEN in attempt.allowed:
            self.unknown[attempt.sent] = attempt.allowed

    def _learn(self, sent: Sent, answer: bytes) -> None:
        route, content = sent
        self.acknowledged[sent] = answer
        self._known[route].append(int(json.loads(content)[ID[route]].rpartition("-")[2]))
        if route == OPERATIONS and (told := json.loads(answer))["degraded"]:
            assert told["level"] != RiskLevel.LOW.word

    def again(self, newest: int, drawn: int) -> list[Attempt]:
        """Acknowledged ones to be repeated, the newest and some at random; then what nobody heard the end of, in no order."""
        known = list(self.acknowledged)
        sample = dict.fromkeys(known[-newest:] + self.draw.sample(known, min(len(known), drawn)))
        unknown = list(self.unknown.items())
        self.draw.shuffle(unknown)
        self.unknown = {}
        return [Attempt(sent, frozenset({TAKEN})) for sent in sample] + [Attempt(*each) for each in unknown]


def _record(route: str, number: int, **changes: Any) -> Sent:
    return route, body(MAKERS[route](number, **changes))


def _another(route: str, number: int, how: str = "other") -> Sent:
    return _record(route, number, **{OTHERWISE[route]: how})


def _one(sent: Sent, *besides: int) -> Attempt:
    return Attempt(sent, frozenset({TAKEN, *besides}))


def a_new_operation(mix: Mix) -> Action:
    """An operation that nobody knows."""
    return [_one(_record(OPERATIONS, mix.new()))]


def a_new_event(mix: Mix) -> Action:
    """An event that nobody knows."""
    return [_one(_record(EVENTS, mix.new()))]


def an_outcome(mix: Mix) -> Action:
    """What an acknowledged operation turned out to be."""
    number = mix.known(OPERATIONS)
    return a_new_operation(mix) if number is None else [_one(_record(OUTCOMES, number))]


def an_outcome_racing_with_its_operation(mix: Mix) -> Action:
    """Both at once; the outcome may come first, and its operation is then unknown."""
    number = mix.new()
    race = [_one(_record(OPERATIONS, number)), _one(_record(OUTCOMES, number), 422)]
    mix.draw.shuffle(race)
    return race


def duplicates(mix: Mix) -> Action:
    """The same new record several times at once."""
    route = mix.draw.choice((OPERATIONS, EVENTS))
    return [_one(_record(route, mix.new()))] * mix.draw.randint(2, WIDTH)


def rivals(mix: Mix) -> Action:
    """Two records at once under one new id: one of them is taken."""
    number = mix.new()
    return [_one(_record(OPERATIONS, number), 409), _one(_another(OPERATIONS, number), 409)]


def a_repeat(mix: Mix) -> Action:
    """What was acknowledged before, once more or twice."""
    if not mix.acknowledged:
        return a_new_operation(mix)
    return [_one(mix.draw.choice(list(mix.acknowledged)))] * mix.draw.randint(1, 2)


def a_conflict(mix: Mix) -> Action:
    """The id of what was acknowledged, with another body."""
    route = mix.draw.choice(list(MAKERS))
    number = mix.known(route)
    return a_new_event(mix) if number is None else [Attempt(_another(route, number, "card_misuse"), frozenset({409}))]


ACTIONS: dict[Callable[[Mix], Action], int] = {
    a_new_operation: 45, a_new_event: 10, an_outcome: 8, an_outcome_racing_with_its_operation: 8, duplicates: 10, rivals: 5,
    a_repeat: 10, a_conflict: 4,
}  # fmt: skip
"""How often each is done, in hundredths."""


async def load(server: Server, mix: Mix, enough: asyncio.Event, target: int, over: asyncio.Event) -> None:
    """Callers that go on until nobody answers them any more, or it is over; `enough` once so many are acknowledged."""

    async def work() -> None:
        with suppress(ConnectionError), ExitStack() as opened:
            connections = [opened.enter_context(closing(await connect(server.url, server.key))) for _ in range(WIDTH)]
            while not over.is_set():
                action = mix.next()
                sent = (send(connection, mix, attempt) for connection, attempt in zip(connections, action, strict=False))
                for error in await asyncio.gather(*sent, return_exceptions=True):
                    if isinstance(error, BaseException):
                        raise error
                if len(mix.acknowledged) >= target:
                    enough.set()

    try:
        await asyncio.gather(*(work() for _ in range(WORKERS)))
    finally:
        enough.set()


async def send(connection: Connection, mix: Mix, attempt: Attempt) -> int:
    """Send one attempt and take its answer in; its status."""
    try:
        response = await connection.request("POST", *attempt.sent)
    except ConnectionError:
        mix.unheard(attempt)
        raise
    mix.answered(attempt, response.status, response.body)
    if response.status == AWAY:
        await asyncio.sleep(0.05)
    return response.status


async def repeat(server: Server, mix: Mix) -> None:
    """After a crash: what was acknowledged gets the same bytes, what nobody heard of gets its answer for good."""
    with closing(await connect(server.url, server.key)) as connection:
        for attempt in mix.again(newest=100, drawn=30):
            lost_operation = frozenset({422}) if attempt.sent[0] == OUTCOMES else frozenset[int]()
            known = attempt.sent in mix.acknowledged
            made = attempt if known else Attempt(attempt.sent, attempt.allowed | lost_operation)
            while await send(connection, mix, made) == AWAY:
                mix.unknown.pop(made.sent, None)
