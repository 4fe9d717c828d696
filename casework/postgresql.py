"""PostgreSQL: sessions whose commits are durable, and that give up in time on a server that does not answer.

The server's own timeouts do not help against a server that hangs, nor TCP's against one whose kernel still answers: so a session
also looks at the clock while it waits, and ends itself.
"""

import time
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import Engine, create_engine, text

from domain.errors import SettingsError

GRACE_S = 1.0
"""So much longer a session waits: a server that can still speak says itself what took too long."""
ENCODING = "UTF8"
CASEWORK_LOCK, LEDGER_LOCK = 4_207_801, 4_207_802
"""Advisory locks: of who changes casework at this moment, and of who adds to the ledger."""
ALONE = text(f"SELECT pg_advisory_xact_lock({CASEWORK_LOCK})")
_SETTLE = """
SELECT set_config('statement_timeout', %(ms)s, false), set_config('lock_timeout', %(ms)s, false),
       set_config('idle_in_transaction_session_timeout', %(ms)s, false),
       set_config('tcp_keepalives_idle', %(idle)s, false), set_config('tcp_keepalives_interval', '1', false),
       set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', %(ms)s, false),
       CASE WHEN %(commit)s = 'off' OR current_setting('synchronous_commit') = 'off'
            THEN set_config('synchronous_commit', %(commit)s, false) END,
       current_setting('fsync')
"""
T = TypeVar("T")


class Session(psycopg.Connection[Any]):
    """A connection that waits so many seconds for an answer, then closes itself: how its statement ended is not known."""

    patience_s = 60.0

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """As psycopg's, for no longer than `patience_s`."""
        patience_s = self.patience_s if timeout is None else min(timeout, self.patience_s)
        until = time.monotonic() + patience_s
        try:
            return super().wait(gen, interval, patience_s)
        except psycopg.OperationalError:
            if time.monotonic() < until:
                raise
            self.pgconn.finish()
            raise psycopg.OperationalError(f"the server gave no answer within {patience_s:g} s") from None


def connected(url: str, answer_s: float, connect_s: int, durable: bool = True, name: str = "burana") -> Session:
    """A session; what commits in it is on the server's disk, unless not `durable`.

    psycopg.Error where there is none to be had; SettingsError for a URL that cannot be read, a database that does not keep every
    text, and a server that does not wait for its own disk.
    """
    try:
        session = Session.connect(
            url, connect_timeout=connect_s, application_name=name, autocommit=True, keepalives=1,
            keepalives_idle=max(1, int(answer_s)), keepalives_interval=1, keepalives_count=3,
            tcp_user_timeout=int(1000 * (answer_s + GRACE_S)),
        )  # fmt: skip
    except psycopg.ProgrammingError:  # what it says may quote a part of the password
        raise SettingsError("the database's URL cannot be read; write postgresql://USER@HOST:PORT/DATABASE") from None
    session.patience_s = answer_s + GRACE_S
    if (encoding := session.info.parameter_status("server_encoding")) != ENCODING:
        session.close()
        raise SettingsError(
            f"the database's encoding is {encoding}, allowed {ENCODING}; make it by `createdb --encoding UTF8 --template template0`"
        )
    # the server's own look at the connection: it lets go of the ledger's lock when our machine is gone
    wishes = {"ms": str(int(1000 * answer_s)), "idle": str(max(1, int(answer_s))), "commit": "on" if durable else "off"}
    try:
        *_, fsync = session.execute(_SETTLE, wishes).fetchone() or (None,)
    except psycopg.Error:
        session.close()
        raise
    if durable and fsync != "on":
        session.close()
        raise SettingsError("the PostgreSQL server runs with fsync = off: what it commits may be lost; set fsync = on")
    return session


def engine(url: str, answer_s: float, connect_s: int, durable: bool) -> Engine:
    """SQLAlchemy over such sessions; a session that the server ended is exchanged before it is used."""

    def made() -> Session:
        session = connected(url, answer_s, connect_s, durable)
        session.autocommit = False
        return session

    return create_engine(
        "postgresql+psycopg://", creator=made, pool_pre_ping=True, pool_timeout=answer_s, hide_parameters=True
    )
