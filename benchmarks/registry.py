"""The registry at size: how long ten million entries take to load and to follow, what they cost in memory, how fast they answer.

    python -m benchmarks.registry --entries 10000000 --json FILE

The entries come by an approved feed into a SQLite file, as a national list would; a second process lists one more, and how long the first takes to
obey is measured from the moment that the other is told that it is recorded. "New" are operations of which nothing was asked before: two of
their six identifiers are numbers of 16 digits, of which a tenth could be a card's and are looked for as one, too.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import func, insert, select
from tqdm import tqdm

from benchmarks.machine import machine
from casework import approvals, proposals, registry_feeds
from casework import database as databases
from casework.audit_log import record_change
from casework.database import Database, timestamp, url_of
from casework.proposals import Ruling
from casework.registry import Registry
from casework.registry_entries import row_of
from casework.tables import REGISTRY
from domain.identifiers import IdentifierKind, Identifiers
from domain.instants import from_ms
from domain.json_file import add_json, write_json
from domain.listing import Ground, List, Listing, Source
from domain.operation import Operation, normal_operation
from serving import garbage

IDENTIFIERS = Identifiers(bytes(32))
FORMS = {"account": "99{:014}", "phone": "+99655{:07}", "wallet": "w99{:010}", "device": "d{:014}", "customer": "x{:09}",
         "card": "card-{:032x}"}  # fmt: skip
NOW = from_ms(1_900_000_000_000)
BATCH = 20_000
ASKED = 20_000


def main() -> None:
    """Make the entries where they are not there yet, measure, print, and write what was printed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entries", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/burana-registry"), help="kept, to be measured again")
    add_json(parser)
    parser.add_argument("--list-one", metavar="URL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.list_one is not None:
        list_one(arguments.list_one)
        return
    figures = {"machine": machine(), "entries": arguments.entries, **measured(arguments.folder, arguments.entries)}
    for name, value in figures.items():
        print(f"{name:32} {value}")
    write_json(arguments.json, figures)


def measured(folder: Path, entries: int) -> dict[str, Any]:
    """The figures for so many entries; the file is made in the folder if it is not there."""
    url = url_of(folder / f"registry-{entries}.db")
    with databases.connect(url) as database:
        fill_s = fill(database, entries)
        before, began, cpu = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic(), time.process_time()
        registry = Registry(database, IDENTIFIERS)
        load_s, load_cpu_s = time.monotonic() - began, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {
            "filled_s": fill_s, "live": len(registry), "load_s": round(load_s, 2), "load_cpu_s": round(load_cpu_s, 2),
            "index_mib": round(registry.nbytes / 2**20), "peak_of_loading_mib": round((peak - before) / 1024),
            **asked(registry, "six_new_identifiers", lambda number: 3 * number), **asked(registry, "six_asked_before", lambda number: number % 100),
            "obeyed_by_the_other_process_s": round(obeyed_s(url, registry), 3),
        }  # fmt: skip


def fill(database: Database, entries: int) -> float:
    """List what is missing; seconds."""
    began = time.monotonic()
    with database.reading() as connection:
        have = connection.scalar(select(func.count()).select_from(REGISTRY)) or 0
    if have >= entries:
        return 0.0
    feed = registry_feeds.propose(
        database, "benchmark", List.PROHIBITED, Ground.NATIONAL_BLACK_LIST, Source.NATIONAL_LIST, "feeds", "a", "size"
    )
    approvals.decide(database, feed, Ruling.APPROVED, "b", "size")
    assert proposals.of_id(database, feed) is not None
    for some in tqdm(list(_batches(have, entries)), "listing", delay=2, unit="batch"):
        with database.transaction() as connection:
            change = record_change(connection, "benchmark", "size", f"registry: {len(some)} entries of the feed")
            told = {
                "added_at": timestamp(),
                "added_by": "benchmark",
                "added_reason": "size",
                "added_change": change,
                "added_proposal": feed,
            }
            connection.execute(insert(REGISTRY), [{**row_of(listing), **told} for listing in some])
    return round(time.monotonic() - began, 1)


def _batches(have: int, entries: int) -> Iterator[list[Listing]]:
    kinds = list(FORMS)
    for start in range(have, entries, BATCH):
        yield [
            Listing(
                kind=IdentifierKind(kinds[n % len(kinds)]), value=FORMS[kinds[n % len(kinds)]].format(n), list=List.PROHIBITED,
                ground=Ground.NATIONAL_BLACK_LIST, source=Source.NATIONAL_LIST,
            )
            for n in range(start, min(start + BATCH, entries))
        ]  # fmt: skip


def operation(number: int) -> Operation:
    """An operation with six identifiers that nobody listed."""
    record = {
        "operation_id": f"op-{number}", "occurred_at": "2025-06-02T04:00:00Z", "kind": "domestic_transfer", "amount": {"minor": 1, "currency": "KGS"},
        "sender": {"customer_id": f"c{number}", "account": f"1240{number:012}"},
        "recipient": {"account": f"1250{number:012}", "phone": f"+99670{number % 10**7:07}"},
        "device": {"id": f"dev{number}", "ip": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"},
    }  # fmt: skip
    return normal_operation(msgspec.convert(record, Operation, strict=False), IDENTIFIERS, NOW)


def asked(registry: Registry, name: str, number_of: Callable[[int], int]) -> dict[str, float]:
    """How long the registry takes for an operation's six identifiers, in microseconds, by the clock and of this thread's processor time.

    One half of the operations for each: who asks for processor time goes into the kernel, and is slower for a microsecond after it.
    """
    figures: dict[str, float] = {}
    for clock, half, now in (("", 0, time.perf_counter_ns), ("_cpu", ASKED, time.thread_time_ns)):
        operations = [operation(number_of(half + number)) for number in range(ASKED)]
        garbage.leave_what_is_loaded()
        taken = np.empty(ASKED)
        for place, one in enumerate(operations):
            began = now()
            registry.ask(one, NOW)
            taken[place] = now() - began
        p50, p99 = np.percentile(taken, [50, 99]) / 1000
        figures |= {f"{name}{clock}_p50_us": round(float(p50), 2), f"{name}{clock}_p99_us": round(float(p99), 2)}
    return figures


def obeyed_s(url: str, registry: Registry) -> float:
    """Seconds from the moment that another process's entry is recorded until this one, which looks as often as a server does, obeys it."""
    command = [sys.executable, "-m", "benchmarks.registry", "--list-one", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        value = other.stdout.readline().strip()
        recorded = float(other.stdout.readline())
        paid = msgspec.structs.replace(
            operation(0), recipient=msgspec.structs.replace(operation(0).recipient, account=value)
        )
        while not registry.ask(paid, NOW)[0]:
            time.sleep(0.5)
            registry.refresh()
        return time.time() - recorded


def list_one(url: str) -> None:
    """In a process of its own: list an account, and tell which and when it was recorded."""
    from casework import registry_entries  # noqa: PLC0415 only the other process does

    value = f"77{time.time_ns()}"
    with databases.connect(url) as database:
        listing = Listing(
            kind=IdentifierKind.ACCOUNT, value=value, list=List.PROHIBITED, ground=Ground.INTERNAL_INVESTIGATION, source=Source.OWN_CASE
        )  # fmt: skip
        registry_entries.add(database, IDENTIFIERS, listing, "another process", "to see it obeyed")
    print(value, time.time(), sep="\n", flush=True)


if __name__ == "__main__":
    main()
