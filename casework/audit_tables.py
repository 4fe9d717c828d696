"""Whether the tables are what the audit log says of them: registry, lines of imports, pages of feeds, rules, proposals, keys.

Who may do anything to the database can change a row past every trigger; the log, which is signed elsewhere, then tells of another one.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, RowMapping, Table, func, or_, select

from casework import registry_import
from casework.audit_form import ChangeKind
from casework.audit_rows import ADDED, OF_ADDED, OF_REMOVED, REMOVED, ROWS, digest, name
from casework.database import Database
from casework.proposals import folded
from casework.tables import (
    API_KEYS,
    AUDIT,
    PROPOSALS,
    REGISTRY,
    REGISTRY_FEED_PAGES,
    REGISTRY_LINES,
    RULE_SETS,
    RULE_VERSIONS,
)

SINGLE = (RULE_SETS, RULE_VERSIONS, PROPOSALS, REGISTRY_FEED_PAGES, API_KEYS)
"""Tables of whose rows the log keeps a hash each."""
KINDS = (ChangeKind.REGISTRY, ChangeKind.RULES, ChangeKind.PROPOSALS, ChangeKind.KEYS, ChangeKind.ADOPTION)
PAGE = 10_000
_WORD = f'"{ROWS}":'
"""How an entry that keeps hashes says so: the log's JSON has no blanks (`audit_form.canonical`)."""
_R = REGISTRY.c


class Compared(NamedTuple):
    """How many rows are what the log says, and what is wrong: the first of each table, in words."""

    rows: int
    faults: list[str]


class _Group(NamedTuple):
    """A change, the hash over its rows, which they are, and how many."""

    change: int
    sha256: str
    named: str = ""
    rows: int = 0


def compare(database: Database) -> Compared:
    """Every table, all as of one moment, so that a server may run beside."""
    with database.snapshot() as connection:
        adopted = _adopted(connection)
        found = [
            _single(connection),
            _registry(connection, ADDED, OF_ADDED, _R.added_change, adopted),
            _registry(connection, REMOVED, OF_REMOVED, _R.removed_change, adopted),
            _lines(connection),
            _names(connection),
        ]
    return Compared(sum(one.rows for one in found), [fault for one in found for fault in one.faults])


def _said(connection: Connection) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and hashes of each entry that keeps some, in order. Most of a long log keep none: the database leaves them out."""
    query = select(AUDIT.c.audit_id, AUDIT.c.after).where(AUDIT.c.kind.in_(KINDS), AUDIT.c.after.contains(_WORD))
    for audit_id, after in connection.execute(query.order_by(AUDIT.c.audit_id), execution_options={"yield_per": PAGE}):
        said = json.loads(after)
        if isinstance(said, dict) and isinstance(rows := said.get(ROWS), dict):
            yield audit_id, rows


# ---- tables of whose rows the log keeps a hash each ------------------------------------------------------------------


def _single(connection: Connection) -> Compared:
    expected = {row: (sha256, audit_id) for audit_id, rows in _said(connection) for row, sha256 in rows.items()}
    found = [_table(connection, table, expected) for table in SINGLE]
    return Compared(sum(one.rows for one in found), [fault for one in found for fault in one.faults])


def _table(connection: Connection, table: Table, expected: dict[str, tuple[str, int]]) -> Compared:
    left = {row for row in expected if row.partition(" ")[0] == table.name}
    count, faults = 0, list[str]()
    rows = connection.execute(select(table).order_by(*table.primary_key), execution_options={"yield_per": PAGE})
    for row in rows.mappings():
        named = name(table, row)
        sha256, audit_id = expected.get(named, ("", 0))
        if sha256 == digest([row]):
            count += 1
        else:
            faults.append(
                f"row {named} is not what audit entry {audit_id} says" if sha256 else f"the audit log knows no row {named}"
            )
        left.discard(named)
    gone = [f"row {named} is gone, which audit entry {expected[named][1]} says" for named in sorted(left)]
    return Compared(count, (faults + gone)[:1])


# ---- the registry ----------------------------------------------------------------------------------------------------


def _adopted(connection: Connection) -> int:
    """The entry that took over what was there before the log kept hashes; 0 where nothing was."""
    query = select(AUDIT.c.audit_id).where(AUDIT.c.kind == ChangeKind.ADOPTION).order_by(AUDIT.c.audit_id).limit(1)
    return connection.scalar(query) or 0


def _registry(
    connection: Connection, of: str, columns: Sequence[Column[Any]], change: Column[Any], adopted: int
) -> Compared:
    said = ((audit_id, 0, _Group(audit_id, rows[of])) for audit_id, rows in _said(connection) if of in rows)
    there = ((group.change, 1, group) for group in _groups(connection, columns, change, adopted))
    count, faults = 0, list[str]()
    for number, both in groupby(merge(said, there), key=lambda one: one[0]):
        by_side = {side: group for _, side, group in both}
        fault = _fault(of, number, by_side.get(0), by_side.get(1))
        if fault:
            faults.append(fault)
        else:
            count += by_side[1].rows
    return Compared(count, faults[:1])


def _groups(connection: Connection, columns: Sequence[Column[Any]], change: Column[Any], adopted: int) -> Iterator[_Group]:
    """The rows by the change that they name; those that name one of before the log kept hashes, by the entry that took them over."""
    of = func.coalesce(change, 0).label("change")
    query = (
        select(*columns, of)
        .where(or_(*(column.is_not(None) for column in columns if column.name != "entry_id")))
        .order_by(of, _R.entry_id)
    )
    rows = connection.execute(query, execution_options={"yield_per": PAGE}).mappings()
    for number, group in groupby(rows, key=lambda row: max(row["change"], adopted)):
        ids: list[int] = []
        sha256 = digest(_noted(group, ids))
        yield _Group(number, sha256, f"{min(ids)} to {max(ids)}" if len(ids) > 1 else str(ids[0]), len(ids))


def _noted(rows: Iterable[RowMapping], ids: list[int]) -> Iterator[dict[str, Any]]:
    """The rows without the change that they were grouped by; their numbers are added to `ids`."""
    for row in rows:
        ids.append(row["entry_id"])
        yield {column: value for column, value in row.items() if column != "change"}


def _fault(of: str, number: int, said: _Group | None, there: _Group | None) -> str:
    done = of.partition(" ")[2]
    if there is None:
        return f"the registry has nothing of what audit entry {number} says was {done}"
    if said is None:
        return f"the registry's entries {there.named} name audit entry {number} as {done} by it, which does not say so"
    if said.sha256 != there.sha256:
        return f"the registry's entries {there.named} are not those that audit entry {number} says were {done}"
    return ""


# ---- lines of imports, names of who proposed -------------------------------------------------------------------------


def _lines(connection: Connection) -> Compared:
    """The lines of each import, by the number and the hash in its proposal, which the log holds."""
    imports = select(PROPOSALS.c.proposal_id, PROPOSALS.c.content).where(PROPOSALS.c.kind == registry_import.KIND)
    expected = {proposal_id: _promised(content) for proposal_id, content in connection.execute(imports)}
    query = select(REGISTRY_LINES).order_by(REGISTRY_LINES.c.proposal_id, REGISTRY_LINES.c.line)
    rows = connection.execute(query, execution_options={"yield_per": PAGE}).mappings()
    there = {number: _there(list(lines)) for number, lines in groupby(rows, key=lambda row: row["proposal_id"])}
    wrong = sorted(number for number in expected.keys() | there.keys() if expected.get(number) != there.get(number))
    faults = [
        f"the lines of the import that proposal {number} names are not those that were proposed" for number in wrong[:1]
    ]
    return Compared(sum(count for number, (count, _) in there.items() if number not in wrong), faults)


def _promised(content: str) -> tuple[int, str]:
    """Number and hash; of a content that somebody broke none."""
    try:
        said = json.loads(content)
        return int(said["lines"]), str(said["sha256"])
    except (ValueError, TypeError, KeyError):
        return 0, ""


def _there(lines: list[Any]) -> tuple[int, str]:
    is_whole = [line["line"] for line in lines] == list(range(1, len(lines) + 1))
    return len(lines), registry_import.digest(map(dict, lines)) if is_whole else ""


def _names(connection: Connection) -> Compared:
    """The folded names beside those of the proposals, by which the database holds two people apart."""
    columns = PROPOSALS.c
    pairs = ((columns.proposed_by, columns.proposed_key), (columns.decided_by, columns.decided_key))
    for person, key in pairs:
        query = select(columns.proposal_id, person, key).where(person.is_not(None)).order_by(columns.proposal_id)
        for proposal_id, said, kept in connection.execute(query):
            if folded(said) != kept:
                return Compared(0, [f"proposal {proposal_id} keeps {said!r} under the name {kept!r}"])
    return Compared(0, [])
