"""What challengers would have scored: kept beside the ledger, never part of a decision, and free to be deleted."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.dialects import postgresql, sqlite

from casework import database as databases
from casework.database import Database, Patience
from casework.tables import ENTRIES, SHADOW_SCORES

PAGE = 5_000
_E, _S = ENTRIES.c, SHADOW_SCORES.c


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


def connect(url: str, patience: Patience) -> Database:
    """The database by connections that do not wait for the disk: lost scores are made again, and nobody waits for these."""
    return databases.connect(url, patience, durable=False)


def keep(database: Database, scores: list[Score]) -> None:
    """Keep scores, all or none; one that is there stays."""
    insert = sqlite.insert if database.file is not None else postgresql.insert
    with database.transaction() as connection:
        connection.execute(insert(SHADOW_SCORES).on_conflict_do_nothing(), [score._asdict() for score in scores])


def last_scored(database: Database, model: str) -> int:
    """The sequence number of the last operation that a challenger scored, 0 before the first."""
    with database.reading() as connection:
        return connection.scalar(select(func.max(_S.sequence)).where(_S.model == model)) or 0


def models(database: Database, after: int) -> list[str]:
    """The challengers that scored after a sequence number."""
    with database.reading() as connection:
        ever = connection.scalars(select(_S.model).distinct().order_by(_S.model)).all()
    return [model for model in ever if last_scored(database, model) > after]


def vectors(database: Database, after: int, up_to: int) -> list[Vector]:
    """The decided operations with after < sequence <= up_to that have a vector, in order."""
    decided = (_E.sequence > after, _E.sequence <= up_to, _E.vector.is_not(None))
    with database.reading() as connection:
        found = connection.execute(select(_E.sequence, _E.vector, _E.evidence).where(*decided).order_by(_E.sequence))
        return [Vector._make(row) for row in found]


class Compared(NamedTuple):
    """A challenger's score beside what was answered to the operation."""

    sequence: int
    operation_id: str
    score: float
    body: bytes
    answer: bytes


def compared(database: Database, model: str, after: int) -> Iterator[Compared]:
    """What a challenger scored after a sequence number, in order."""
    both = SHADOW_SCORES.join(ENTRIES, _E.sequence == _S.sequence)
    scored = select(_S.sequence, _E.id, _S.score, _E.body, _E.answer).select_from(both).order_by(_S.sequence).limit(PAGE)
    while page := _all(database, scored.where(_S.model == model, _S.sequence > after, _E.answer.is_not(None))):
        yield from map(Compared._make, page)
        after = page[-1].sequence


def outcomes(database: Database, after: int) -> Iterator[bytes]:
    """The outcomes recorded after a sequence number, in order."""
    recorded = select(_E.sequence, _E.body).where(_E.type == "outcome").order_by(_E.sequence).limit(PAGE)
    while page := _all(database, recorded.where(_E.sequence > after)):
        yield from (body for _, body in page)
        after = page[-1].sequence


def _all(database: Database, query: Select[Any]) -> list[Any]:
    with database.reading() as connection:
        return list(connection.execute(query).all())
