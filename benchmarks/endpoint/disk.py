"""The disk of the machine: how long an append of a page takes until it is durable, where the ledger is."""

import os
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.endpoint.processes import SERVED_ON, pinned

PAGE = bytes(4_096)


def fdatasync(folder: Path, times: int) -> NDArray[np.float64]:
    """(times,) seconds of an append of 4 KiB with fdatasync, on the core of the servers."""
    path, taken = folder / "fdatasync", np.empty(times)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        with pinned(SERVED_ON):
            for n in range(times):
                began = time.perf_counter()
                os.write(file, PAGE)
                os.fdatasync(file)
                taken[n] = time.perf_counter() - began
    finally:
        os.close(file)
        path.unlink()
    return taken
