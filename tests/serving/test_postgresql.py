"""The ledger on PostgreSQL while its server dies or hangs: callers are told to come again, nothing acknowledged is lost."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from casework.ledger import reading
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan
from serving import verification
from serving.settings import Settings
from tests.databases import refusing
from tests.postgresql import PostgreSQL
from tests.serving.examples import body, event, operation, outcome
from tests.serving.running import Answer, InProcess, asgi, key_of, rows_in

OPERATIONS = "/v1/operations"
Send = Callable[[int], Awaitable[Answer]]


@pytest.fixture
def settings(settings: Settings, cloned: str) -> Settings:
    """Of a Burana that gives its database a second."""
    return replace(settings, database_url=cloned, database_answer_s=1, database_connect_s=2)


def held(url: str) -> dict[str, bytes | None]:
    """Id -> answer of every operation in the ledger."""
    with reading(url) as ledger:
        return {entry.id: entry.answer for entry in ledger.read() if entry.type == "operation"}


async def until_taken(send: Send, number: int, seconds: float = 30) -> Answer:
    """Send an operation again and again until it is taken; every refusal says when to come again."""
    until = time.monotonic() + seconds
    while (answer := await send(number)).status != 200:
        assert (answer.status, answer.headers.get("retry-after")) == (503, "1"), answer
        assert time.monotonic() < until
        await asyncio.sleep(0.1)
    return answer


def test_a_ledger_that_refuses_is_503_nothing_is_recorded_and_the_features_are_rebuilt(settings: Settings) -> None:
    with InProcess(settings) as burana:
        given = [burana.post(OPERATIONS, body(operation(number))) for number in range(1, 8)]
        before = burana.trace()
        records = [(OPERATIONS, body(operation(number))) for number in range(8, 30)] + [("/v1/events", body(event(1)))]
        with refusing(settings.database):
            assert {answer.status for answer in burana.post_many(records)} == {503}
            assert rows_in(settings.database) == before.entries
        burana.wait_until(lambda: burana.burana.assessor.records.broken is None)
        assert burana.trace() == before, "what was refused left the features again"
        assert burana.post(OPERATIONS, body(operation(1))) == given[0]
        assert {answer.status for answer in burana.post_many([*records, ("/v1/outcomes", body(outcome(1)))])} == {200}
    assert verification.verify(settings.database, Plan(DEFINITIONS, RETAINED_ARRIVALS))["vectors_differ"] == 0


def test_more_records_than_may_wait_are_told_to_come_again(settings: Settings) -> None:
    with InProcess(replace(settings, max_pending=3)) as burana:
        records = [(OPERATIONS, body(operation(number))) for number in range(1, 11)]
        assert [answer.status for answer in burana.post_many(records)] == [200] * 3 + [503] * 7
        for start in range(3, 10, 3):
            assert {answer.status for answer in burana.post_many(records[start : start + 3])} == {200}
        assert burana.trace()[:2] == (10, 10)


def test_a_ledger_that_a_check_finds_gone_is_said_and_counted_before_anybody_asks(
    settings: Settings, postgresql: PostgreSQL, caplog: pytest.LogCaptureFixture
) -> None:
    with InProcess(settings) as burana:
        assessor = burana.burana.assessor
        postgresql.kill()
        try:
            assert burana.run(assessor.records.could_record()) is not None
        finally:
            postgresql.start()
        assert caplog.text.count("callers are told to retry, the ledger does not take records") == 1
        assert "burana_ledger_failures_total 1.0" in burana.burana.metrics.text().decode()
        burana.wait_until(lambda: assessor.records.broken is None, 30)


def test_a_server_killed_and_started_again_loses_nothing_that_was_acknowledged(
    settings: Settings, postgresql: PostgreSQL
) -> None:
    async def scenario() -> dict[str, bytes]:
        key = {"Authorization": f"Bearer {key_of(settings.database)}"}
        async with asgi(settings) as ask:

            async def send(number: int) -> Answer:
                return await ask("POST", OPERATIONS, body(operation(number)), key)

            taken = {number: await send(number) for number in range(1, 30)}
            under_way = [asyncio.create_task(send(number)) for number in range(30, 60)]
            await asyncio.sleep(0.002)
            postgresql.kill()
            for number, each in zip(range(30, 60), under_way, strict=True):
                answer = await each
                assert answer.status in (200, 503)
                if answer.status == 200:
                    taken[number] = answer
            for number in (1, 60, 61):
                refused = await send(number)
                assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert (await ask("GET", "/livez")).status == 200
            postgresql.start()
            for number in range(1, 70):
                answer = await until_taken(send, number)
                assert answer.body == taken.setdefault(number, answer).body
        return {f"op-{number}": answer.body for number, answer in taken.items()}

    acknowledged = asyncio.run(scenario())
    assert held(settings.database) == acknowledged
    assert len(acknowledged) == 69
    assert verification.verify(settings.database, Plan(DEFINITIONS, RETAINED_ARRIVALS))["vectors_differ"] == 0


def test_a_server_that_hangs_holds_up_nobody_for_long_and_nothing_else_at_all(
    settings: Settings, postgresql: PostgreSQL
) -> None:
    async def scenario() -> None:
        key = {"Authorization": f"Bearer {key_of(settings.database)}"}
        async with asgi(settings) as ask:

            async def send(number: int) -> Answer:
                return await ask("POST", OPERATIONS, body(operation(number)), key)

            given = {number: await send(number) for number in range(1, 10)}
            postgresql.pause()
            try:
                began, slowest = time.monotonic(), 0.0
                asked = [asyncio.create_task(send(number)) for number in range(5, 40)]
                while not all(each.done() for each in asked):
                    before = time.monotonic()
                    assert (await ask("GET", "/livez")).status == 200
                    slowest = max(slowest, time.monotonic() - before)
                    await asyncio.sleep(0.02)
                took = time.monotonic() - began
                assert {(await each).status for each in asked} == {503}
            finally:
                postgresql.resume()
            print(f"told after {took:.1f} s, the slowest /livez meanwhile {1000 * slowest:.0f} ms")
            assert took < 6
            assert slowest < 1
            for number in range(1, 45):
                answer = await until_taken(send, number)
                assert answer == given.get(number, answer)

    asyncio.run(scenario())
    assert len(held(settings.database)) == 44


def test_a_commit_whose_end_nobody_heard_is_found_by_the_repeat(settings: Settings, postgresql: PostgreSQL) -> None:
    """The server hangs with the insert already sent, is given up, goes on and may commit: the ledger is read again after that."""

    async def scenario() -> None:
        key = {"Authorization": f"Bearer {key_of(settings.database)}"}
        async with asgi(settings) as ask:
            for number in range(1, 40):
                asked = [
                    asyncio.create_task(ask("POST", OPERATIONS, body(operation(n)), key)) for n in range(number, number + 4)
                ]
                await asyncio.sleep(0.0005 * number)  # each time the server stops at another moment
                if number % 13 == 0:
                    postgresql.pause()
                    await asyncio.wait(asked, timeout=3)
                    postgresql.resume()
                await asyncio.gather(*asked)
            answers = [
                await until_taken(lambda n: ask("POST", OPERATIONS, body(operation(n)), key), n) for n in range(1, 43)
            ]
            assert {answer.json["operation_id"]: answer.body for answer in answers} == held(settings.database)

    asyncio.run(scenario())
    assert verification.verify(settings.database, Plan(DEFINITIONS, RETAINED_ARRIVALS))["vectors_differ"] == 0
