"""Which card key the cards of a database are hashed under: its fingerprint stands in the audit log from its first use on.

A process with another key would hash every card anew: no listed card would be met, and nobody would notice.
"""

import hmac
import json

from sqlalchemy import Connection, select

from casework.audit_form import ChangeKind
from casework.audit_log import record_change
from casework.database import Database
from casework.tables import AUDIT
from domain.errors import SettingsError

_KIND = ChangeKind.CARD_KEY
_LAST = select(AUDIT.c.after).where(AUDIT.c.kind == _KIND).order_by(AUDIT.c.audit_id.desc()).limit(1)


def fingerprint(card_key: bytes) -> str:
    """16 hexadecimal digits that tell keys apart and say nothing of them."""
    return hmac.digest(card_key, b"burana: fingerprint of the card key", "sha256")[:8].hex()


def in_use(database: Database) -> str | None:
    """The fingerprint of the key in use, None before the first use."""
    with database.reading() as connection:
        return _used(connection)


def check(database: Database, card_key: bytes) -> None:
    """SettingsError for another key than the one in use; any key is right where none was used yet."""
    _check(in_use(database), fingerprint(card_key))


def use(database: Database, card_key: bytes, person: str) -> None:
    """As `check`, and record the first use: called before cards are hashed to stay."""
    own = fingerprint(card_key)
    if in_use(database) is None:
        _begin(database, own, person)
    _check(in_use(database), own)


def _begin(database: Database, own: str, person: str) -> None:
    with database.transaction() as connection:
        if _used(connection) is None:  # else another process came first
            record_change(connection, person, "first use", f"{_KIND}: {own}", after={"fingerprint": own})


def exchange(database: Database, card_key: bytes, person: str, reason: str) -> None:
    """Let another key be the one in use, as when the last was lost; SettingsError where it is in use already."""
    own = fingerprint(card_key)
    with database.transaction() as connection:
        used = _used(connection)
        if used == own:
            raise SettingsError(f"the card key {own} is in use already; nothing was changed")
        before = None if used is None else {"fingerprint": used}
        record_change(connection, person, reason, f"{_KIND}: {used or 'none'} -> {own}", before, {"fingerprint": own})


def _used(connection: Connection) -> str | None:
    found = connection.scalar(_LAST)
    return None if found is None else json.loads(found)["fingerprint"]


def _check(used: str | None, own: str) -> None:
    if used is not None and used != own:
        raise SettingsError(
            f"card.key has the fingerprint {own}, the cards of this database are hashed under {used}; restore that file, or copy it"
            " from the other machine. Where it is lost, `burana keys card` takes this one: cards that are listed are then listed anew"
        )
