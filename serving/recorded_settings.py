"""The settings in the audit log: whoever starts a server with other ones than the last is recorded, with both (R108-R111)."""

import json
import socket

from sqlalchemy import select

from casework.audit_form import ChangeKind
from casework.audit_log import record_change
from casework.database import Database
from casework.tables import AUDIT
from serving.acting_person import user
from serving.settings import Settings
from serving.settings_file import stated

_KIND = ChangeKind.SETTINGS
_LAST = select(AUDIT.c.after).where(AUDIT.c.kind == _KIND).order_by(AUDIT.c.audit_id.desc()).limit(1)


def record(database: Database, settings: Settings) -> None:
    """Record the settings that act from now on, without secrets; nothing when they are those that acted last."""
    after = stated(settings)
    with database.transaction() as connection:
        found = connection.scalar(_LAST)
        before = {} if found is None else json.loads(found)
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        if changed:
            words = f"{_KIND}: {', '.join(changed) if before else 'the first'}"
            record_change(connection, user(), f"start of the server on {socket.gethostname()}", words, before or None, after)
