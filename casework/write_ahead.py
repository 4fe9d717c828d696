"""SQLite's write-ahead log, copied into the file beside the thread that commits.

SQLite by itself copies the log with the very commit that fills it. With five pages a record that was one commit in 200, and it took
10 to 45 ms where others take 0.3: at a thousand records a second p99 was the time of this copy.

Copied beside, but four times a second, some 1,000 pages went to the disk at once, and commits that met them there waited behind them:
at a thousand records a second p99 of being on the disk was 18 ms. Copied 50 times a second it is 2.2 to 2.6 ms, p50 0.4 to 0.5 either
way. Each copy also mostly meets the log's end, so that the log begins anew by itself.
"""

import sqlite3
import threading
from contextlib import suppress
from pathlib import Path

from casework import sqlite

EVERY_S = 0.02
"""Between two copies, while something is written: at a thousand records a second each is of some 70 pages. Of 64 at once a sync of the
log beside them took 1.6 ms at p99, of 1,000 it took 6."""
LONG = 1 << 10
"""Pages, 4 MiB: a longer log is to begin anew. Four times that made p99 no better, and more is left for one sync."""
_COPY = "PRAGMA wal_checkpoint(PASSIVE)"


class Copying:
    """Copies the log of a file from a thread and a session of its own; it takes no lock that a commit waits for.

    The log begins anew only when all of it is copied, and where records come at 2,000 a second a copy seldom meets its end. So who
    commits copies what is left, which came within a millisecond or two, once the log is long: `before_a_commit`.

    A copy that fails is nobody's error: nothing is lost by it, the log grows, and the next one begins where it began.
    """

    def __init__(self, file: Path, busy_s: float) -> None:
        self._connection = sqlite.connected(file, busy_s)
        self._has_grown, self._closing = threading.Event(), threading.Event()
        self._is_to_end = False
        self._thread = threading.Thread(target=self._copy_on, name="write-ahead", daemon=True)
        self._thread.start()

    def before_a_commit(self, connection: sqlite3.Connection) -> None:
        """Called before each commit by the session that makes it, which has to leave copying (`wal_autocheckpoint`) to this."""
        if self._is_to_end:
            self._is_to_end = False
            _copied(connection)
        self._has_grown.set()

    def close(self) -> None:
        """Let the copy under way end; what is left is copied by whoever closes the file last."""
        self._closing.set()
        self._has_grown.set()
        self._thread.join()
        self._connection.close()

    def _copy_on(self) -> None:
        while not self._closing.wait(EVERY_S):
            self._has_grown.wait()
            self._has_grown.clear()
            if _copied(self._connection) > LONG:
                _copied(self._connection)  # what came meanwhile, so that less is left
                self._is_to_end = True


def _copied(connection: sqlite3.Connection) -> int:
    """Copy; how many pages the log has, 0 where that cannot be told."""
    with suppress(sqlite3.Error):  # a full disk, for one, which the commit meets by itself
        return int(connection.execute(_COPY).fetchone()[1])
    return 0
