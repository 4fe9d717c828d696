"""The notary: beside the server, it lets decisions join the audit log by batches, and signs checkpoints of the log as it grows.

The thread that answers does nothing for it. Another thread reads what was added since its last turn; without `audit.key` in the
home nothing is signed, and the tree is kept for proofs all the same.
"""

import logging
import threading
import time

from casework import audit_keys, audit_log, checkpoints, decision_batches
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
        self._batched_at, self._signed_to, self._refused = time.monotonic(), 0, ""
        self._turning, self._closing = threading.Lock(), False

    def turn(self) -> None:
        """Record the batch that is due, then sign what came since the last turn."""
        with self._turning:
            if not self._closing:
                self._batch()
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

    def _batch(self) -> None:
        """A batch is due when the last one is old, or when it would be full."""
        every_s = self._settings.audit_batch_s
        if not every_s:
            return
        is_old = time.monotonic() - self._batched_at > every_s
        if decision_batches.record(self._database, 1 if is_old else decision_batches.MOST) is not None or is_old:
            self._batched_at = time.monotonic()

    def _sign(self) -> None:
        key = audit_keys.read(self._settings.home)
        if key is not None and len(self._tree) > self._signed_to:
            self._signed_to = checkpoints.sign(self.grown, key, self._settings.checkpoints, now().date()).size
            self._metrics.audit.signed.set(self._signed_to)
