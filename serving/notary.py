"""The notary: beside the server, it signs checkpoints of the audit log as it grows.

The thread that answers does nothing for it: another one reads the hashes that were added since its last turn, by one query. Without
`audit.key` in the home nothing is signed, and the tree is kept for proofs all the same.
"""

import logging
import threading

from casework import audit_keys, audit_log, checkpoints
from casework.database import Database
from casework.merkle import Tree
from domain.errors import AuditError
from serving.metrics import Metrics
from serving.settings import Settings
from serving.succession import now

log = logging.getLogger("burana")


class Notary:
    """One for a process. `turn` is called time and again from another thread, `grown` by who asks for a proof, `close` in the end."""

    def __init__(self, settings: Settings, database: Database, metrics: Metrics) -> None:
        self._settings, self._database, self._metrics = settings, database, metrics
        self._tree, self._last, self._growing = Tree(), 0, threading.Lock()
        self._signed_to, self._refused = 0, ""
        self._turning, self._closing = threading.Lock(), False

    def turn(self) -> None:
        """Sign what came since the last turn."""
        with self._turning:
            if not self._closing:
                self._checkpoint()

    def close(self) -> None:
        """Let the running turn end; no other one does anything."""
        self._closing = True
        with self._turning:
            pass

    def _checkpoint(self) -> None:
        tree = self.grown()
        self._metrics.audit.entries.set(len(tree))
        try:
            self._sign()
            self._refused = ""
        except (AuditError, OSError) as error:
            self._metrics.audit.unsigned.inc()
            if str(error) != self._refused:
                log.error("the audit log gets no checkpoint: %s", error)  # noqa: TRY400 it says all there is
            self._refused = str(error)

    def grown(self) -> Tree:
        """The tree of the audit log as it is now, as far as it is committed."""
        with self._growing:
            leaves, self._last = audit_log.hashes(self._database, self._last)
            self._tree.extend(leaves)
            return self._tree

    def _sign(self) -> None:
        if len(self._tree) == self._signed_to or (key := audit_keys.read(self._settings.home)) is None:
            return
        self._signed_to = checkpoints.sign(self.grown, key, self._settings.checkpoints, now().date()).size
        self._metrics.audit.signed.set(self._signed_to)
