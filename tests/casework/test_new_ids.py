"""What says that an id is new has read the whole ledger, and knows what came while it read."""

import asyncio

import pytest

from casework import database as databases
from casework.ledger import Ledger
from casework.new_ids import NewIds
from casework.tables import id_hash
from tests.casework.records import entry
from tests.databases import bring_in


def hash_of(number: int) -> bytes:
    return id_hash("operation", f"op-{number}")


def test_nothing_is_new_before_the_ledger_was_read():
    new_ids = NewIds()
    assert not new_ids.has(hash_of(1))
    assert new_ids.is_due


def test_what_is_recorded_before_while_and_after_the_ledger_is_read_is_never_new(url):
    bring_in(url, map(entry, range(1, 501)))
    new_ids = NewIds()
    with databases.connect(url) as database:

        async def read_and_record() -> None:
            reading = asyncio.create_task(new_ids.read(Ledger(database), [hash_of(501)]))
            await asyncio.sleep(0)
            new_ids.recorded(hash_of(502))
            await reading

        asyncio.run(read_and_record())
    new_ids.recorded(hash_of(503))
    assert not any(new_ids.has(hash_of(number)) for number in range(1, 504))
    assert sum(new_ids.has(hash_of(number)) for number in range(1_000, 2_000)) > 990
    assert not new_ids.is_due


@pytest.mark.parametrize("chunk", [1, 7, 500, 8_192])
def test_every_hash_of_the_ledger_is_read_once_however_many_come_together(url, chunk):
    bring_in(url, map(entry, range(1, 501)))
    with databases.connect(url) as database:
        hashes = b"".join(Ledger(database).hashes(chunk))
    assert sorted(hashes[at : at + 16] for at in range(0, len(hashes), 16)) == sorted(map(hash_of, range(1, 501)))
