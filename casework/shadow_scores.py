"""What challengers would have scored: kept beside the ledger, never part of a decision, and free to be deleted."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from casework import database


class Vector(NamedTuple):
    """A decided operation's features as the ledger has them: little-endian float64, and the evidence that names them."""

    sequence: int
    vector: bytes
    evidence: bytes


class Score(NamedTuple):
    """What a challenger gave: fraud probability, 0 to 1."""

    model: str
    sequence: int
    score: float


def connect(path: Path) -> sqlite3.Connection:
    """A connection that does not wait for the disk: the ledger does not wait for it long, and lost scores are made again."""
    connection = database.connect(path)
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def keep(connection: sqlite3.Connection, scores: list[Score]) -> None:
    """Keep scores, all or none; one that is there stays."""
    with database.transaction(connection):
        connection.executemany("INSERT OR IGNORE INTO shadow_scores (model, sequence, score) VALUES (?, ?, ?)", scores)


def last_scored(connection: sqlite3.Connection, model: str) -> int:
    """The sequence number of the last operation that a challenger scored, 0 before the first."""
    found = connection.execute("SELECT coalesce(max(sequence), 0) FROM shadow_scores WHERE model = ?", (model,))
    return int(found.fetchone()[0])


def models(connection: sqlite3.Connection, after: int) -> list[str]:
    """The challengers that scored after a sequence number."""
    ever = [model for (model,) in connection.execute("SELECT DISTINCT model FROM shadow_scores ORDER BY model")]
    return [model for model in ever if last_scored(connection, model) > after]


def last_entry(connection: sqlite3.Connection) -> int:
    """The sequence number at which the ledger ends."""
    return int(connection.execute("SELECT coalesce(max(sequence), 0) FROM entries").fetchone()[0])


def vectors(connection: sqlite3.Connection, after: int, up_to: int) -> list[Vector]:
    """The decided operations with after < sequence <= up_to that have a vector, in order."""
    query = (
        "SELECT sequence, vector, evidence FROM entries "
        "WHERE sequence > ? AND sequence <= ? AND vector IS NOT NULL ORDER BY sequence"
    )
    return [Vector(*found) for found in connection.execute(query, (after, up_to))]


class Compared(NamedTuple):
    """A challenger's score beside what was answered to the operation."""

    sequence: int
    operation_id: str
    score: float
    body: bytes
    answer: bytes


def compared(connection: sqlite3.Connection, model: str, after: int) -> Iterator[Compared]:
    """What a challenger scored after a sequence number, in order."""
    query = (
        "SELECT s.sequence, e.id, s.score, e.body, e.answer FROM shadow_scores s JOIN entries e ON e.sequence = s.sequence "
        "WHERE s.model = ? AND s.sequence > ? AND e.answer IS NOT NULL ORDER BY s.sequence"
    )
    for found in connection.execute(query, (model, after)):
        yield Compared(*found)


def outcomes(connection: sqlite3.Connection, after: int) -> Iterator[bytes]:
    """The outcomes recorded after a sequence number, in order."""
    query = "SELECT body FROM entries WHERE type = 'outcome' AND sequence > ? ORDER BY sequence"
    for (body,) in connection.execute(query, (after,)):
        yield body
