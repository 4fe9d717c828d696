"""A repeat gets the answer that was given, to the byte; another body under the same id is an error; nothing counts twice."""

import asyncio
import json
import random
from dataclasses import replace

import numpy as np
import pytest

from domain.errors import ConflictError
from tests.databases import bring_in
from tests.serving.examples import body, event, operation, outcome
from tests.serving.running import InProcess, rows_in

OPERATIONS, EVENTS, OUTCOMES = "/v1/operations", "/v1/events", "/v1/outcomes"
RECORDS = {"operation": (OPERATIONS, operation), "event": (EVENTS, event), "outcome": (OUTCOMES, outcome)}

DISGUISED = operation(
    recipient={"institution": "BANK-2", "phone": "0555 (000) 001"},
    device={"vpn": False, "country": "kg", "ip": "192.0.2.10", "id": "D\u200b-1"},
    sender={"account": " ACC-1 ", "customer_id": "\uff23-1"},
    occurred_at="2025-06-02T10:00:01.000999+06:00",
)
"""Operation 1 as another system writes it: the same identifiers, the same instant."""


@pytest.fixture
def settings(settings, url):
    """Of a Burana on each kind of database."""
    return replace(settings, database_url=url)


@pytest.fixture(params=RECORDS)
def record(request, burana):
    """The route and the maker of each kind of record, with the operation of the outcome there."""
    burana.decide(operation(1))
    burana.decide(operation(2))
    return RECORDS[request.param]


def test_a_repeat_gets_the_same_bytes_and_leaves_no_trace(burana, record):
    route, make = record
    first = burana.post(route, body(make(1)))
    assert first.status == 200
    before = burana.trace()
    assert all(burana.post(route, body(make(1))) == first for _ in range(3))
    assert burana.trace() == before


def test_the_same_id_with_another_body_is_a_conflict(burana, record):
    route, make = record
    time = "known_at" if route == OUTCOMES else "occurred_at"
    first = burana.post(route, body(make(1)))
    before = burana.trace()
    answer = burana.post(route, body(make(1, **{time: "2025-06-01T00:00:00Z"})))
    assert answer.status == 409
    assert answer.json["error"]["code"] == "conflict"
    assert burana.trace() == before
    assert burana.post(route, body(make(1))) == first, "the first record stands"


def test_repeats_that_come_while_the_first_is_on_its_way_to_the_disk_wait_for_its_answer(burana, record):
    route, make = record
    before = burana.trace()
    answers = burana.post_many([(route, body(make(2)))] * 50)
    assert len({answer.body for answer in answers}) == 1
    assert {answer.status for answer in answers} == {200}
    added = burana.trace().applied - before.applied
    assert added == (0 if route == OPERATIONS else 1), "operation 2 was there"
    assert burana.trace().entries == burana.trace().applied


def test_another_body_is_a_conflict_also_while_the_first_is_on_its_way(burana, record):
    route, make = record
    changed = {"operation": "purpose", "event": "operation_id", "outcome": "scheme"}[route.rpartition("/")[2][:-1]]
    name = {OPERATIONS: "operation_id", EVENTS: "event_id", OUTCOMES: "outcome_id"}[route]
    one = body(make(1, **{name: "new"}))
    other = body(make(1, **{name: "new", changed: "other"}))
    first, second, again = burana.post_many([(route, one), (route, other), (route, one)])
    assert (first.status, second.status) == (200, 409)
    assert again == first


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(operation(1), indent=3).encode(),
        body(dict(reversed(operation(1).items()))),
        json.dumps(operation(1), ensure_ascii=True, separators=(",", ":")).replace("rent", "\\u0072ent").encode(),
        body({**operation(1), "funding": None}),
        body(DISGUISED),
    ],
    ids=["whitespace", "order of the keys", "escapes", "an absent part as null", "disguised identifiers and another offset"],
)
def test_what_says_the_same_in_other_bytes_is_a_repeat(burana, content):
    first = burana.post(OPERATIONS, body(operation(1)))
    before = burana.trace()
    assert burana.post(OPERATIONS, content) == first
    assert burana.trace() == before


def test_answers_outlive_the_process(settings):
    records = [(OPERATIONS, body(operation(1))), (EVENTS, body(event(1))), (OUTCOMES, body(outcome(1)))]
    with InProcess(settings) as first:
        given = [first.post(*record) for record in records]
        before = first.trace()
    with InProcess(settings) as second:
        assert [second.post(*record) for record in records] == given
        assert second.trace() == before
        assert second.post(OPERATIONS, body(operation(1, purpose="other"))).status == 409


def test_the_same_id_may_name_an_operation_an_event_and_an_outcome(burana):
    assert burana.post(OPERATIONS, body(operation(1, operation_id="same"))).status == 200
    assert burana.post(EVENTS, body(event(1, event_id="same"))).status == 200
    assert burana.post(OUTCOMES, body(outcome(1, outcome_id="same", operation_id="same"))).status == 200


def test_events_and_outcomes_count_once_in_the_features(burana):
    def after(number, **changes) -> dict[str, float]:
        burana.decide(operation(number, **changes))
        vector = burana.burana.ledger.find("operation", f"op-{number}").vector
        return dict(zip(burana.burana.plan.names, np.frombuffer(vector), strict=True))

    burana.decide(operation(1))
    for _ in range(4):
        burana.post_many([(EVENTS, body(event(1)))] * 3)
    assert after(8)["customer_login_failed_count_1h"] == 1
    for _ in range(4):
        burana.post_many([(OUTCOMES, body(outcome(1)))] * 3)
    known = after(15, recipient=operation(1)["recipient"], occurred_at="2025-06-05T04:30:00Z")
    assert known["recipient_fraud_known_received_count_7d"] == 1
    assert known["customer_login_failed_count_1d"] == 0, "the event is of three days before"


def test_sequences_rise_by_one_over_all_kinds_of_record(burana):
    records = []
    for number in range(1, 20):
        records += [(OPERATIONS, body(operation(number))), (EVENTS, body(event(number))), (OUTCOMES, body(outcome(number)))]
    answers = burana.post_many(records)
    assert sorted(answer.json["sequence"] for answer in answers) == list(range(1, len(records) + 1))
    assert [entry.sequence for entry in burana.burana.ledger.read()] == list(range(1, len(records) + 1))


def test_an_outcome_may_follow_its_operation_before_that_is_on_the_disk(burana):
    answers = burana.post_many([(OPERATIONS, body(operation(1))), (OUTCOMES, body(outcome(1)))])
    assert [answer.status for answer in answers] == [200, 200]


def test_the_stored_answer_is_the_one_that_was_given(burana):
    answer = burana.post(OPERATIONS, body(operation(1)))
    assert burana.burana.ledger.find("operation", "op-1").answer == answer.body
    assert rows_in(burana.settings.database) == 1


def test_an_operation_of_a_history_was_never_answered_and_says_so(settings):
    with InProcess(settings) as first:
        first.decide(operation(1))
        entry = first.burana.ledger.find("operation", "op-1")._replace(sequence=2, id="imported", answer=None, vector=None)
    bring_in(settings.database, iter([entry._replace(body=entry.body.replace(b"op-1", b"imported"))]))
    with InProcess(settings) as second:
        answer = second.post(OPERATIONS, body(operation(1, operation_id="imported")))
        assert answer.status == 409
        assert "history" in answer.json["error"]["message"]


# ---- races -----------------------------------------------------------------------------------------------------------


class Late:
    """The real look-ups, whose answers arrive late: what they saw may not be so any more."""

    def __init__(self, lookups, delay) -> None:
        self._lookups, self._delay = lookups, delay

    async def find(self, key):
        known = await self._lookups.find(key)
        await self._delay(key)
        return known

    def close(self) -> None:
        self._lookups.close()


def let_look_ups_be_late(burana: InProcess, delay) -> None:
    assessor = burana.burana.assessor
    assessor.records._lookups = Late(assessor.records._lookups, delay)
    assessor.records.new_ids.has = lambda hash_: False  # as while the ledger's ids are still being read


def test_a_second_one_waits_until_the_first_has_looked_up_and_taken_his_turn(burana):
    async def scenario() -> None:
        held, seen = asyncio.Event(), []

        async def delay(key) -> None:
            seen.append(key)
            await held.wait()

        let_look_ups_be_late(burana, delay)
        handle = burana.burana.assessor.operation
        asked = [asyncio.create_task(handle(body(operation(1)))) for _ in range(3)]
        other = asyncio.create_task(handle(body(operation(1, purpose="another body"))))
        await asyncio.sleep(0.1)
        assert seen == [("operation", "op-1")]
        assert burana.burana.assessor.records.engine.applied == 0
        held.set()
        assert len({await each for each in asked}) == 1
        with pytest.raises(ConflictError):
            await other

    burana.run(scenario())
    assert burana.trace()[:2] == (1, 1)


def test_an_outcome_that_looks_for_its_operation_while_that_comes_refers_to_it_or_came_before_it(burana):
    async def delay(key) -> None:
        await asyncio.sleep(0.02)

    let_look_ups_be_late(burana, delay)
    first = burana.post_many([(OPERATIONS, body(operation(1))), (OUTCOMES, body(outcome(1)))])
    assert [answer.status for answer in first] == [200, 200]
    second = burana.post_many([(OUTCOMES, body(outcome(2))), (OPERATIONS, body(operation(2)))])
    assert [answer.status for answer in second] == [422, 200]
    assert burana.post(OUTCOMES, body(outcome(2))).status == 200
    assert burana.trace()[:2] == (4, 4)


@pytest.mark.parametrize("seed", range(3))
def test_racing_duplicates_are_recorded_once_whatever_the_order_in_which_look_ups_and_commits_end(burana, seed):
    draw = random.Random(seed)

    async def delay(key) -> None:
        await asyncio.sleep(draw.choice((0, 0, 0.001, 0.004, 0.015)))

    async def sent(handle, content: bytes) -> bytes:
        await asyncio.sleep(draw.random() * 0.1)
        return await handle(content)

    async def scenario() -> list[tuple[int, bytes]]:
        handle = burana.burana.assessor.operation
        numbers = [draw.randint(1, 25) for _ in range(300)]
        answers = await asyncio.gather(*(sent(handle, body(operation(number))) for number in numbers))
        return list(zip(numbers, answers, strict=True))

    let_look_ups_be_late(burana, delay)
    answers = burana.run(scenario())
    assert burana.burana.assessor.records.broken is None
    assert len(set(answers)) == len({number for number, _ in answers}) == rows_in(burana.settings.database)
    assert burana.trace().entries == burana.trace().applied


def test_a_new_id_is_not_looked_up_and_a_repeat_is_found(settings):
    with InProcess(settings) as burana:
        first = burana.post("/v1/operations", body(operation(1)))
    with InProcess(settings) as burana:
        burana.wait_until(lambda: not burana.burana.assessor.records.new_ids.is_due)
        burana.burana.assessor.records._lookups.close()  # a look-up now would fail
        assert burana.post("/v1/operations", body(operation(2))).status == 200
    with InProcess(settings) as burana:
        burana.wait_until(lambda: not burana.burana.assessor.records.new_ids.is_due)
        again = [burana.post("/v1/operations", body(operation(number))) for number in (1, 2)]
    assert again[0].body == first.body
    assert [answer.status for answer in again] == [200, 200]
