"""A long run against one server: its resident memory as operations come, and whether it goes on growing."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.endpoint.generator import exactly
from benchmarks.endpoint.targets import ours
from benchmarks.endpoint.world import World

EVERY = 50_000
CONNECTIONS = 32


def measure(world: World, home: Path, requests: Iterator[bytes], operations: int) -> dict[str, Any]:
    """Resident MiB every EVERY operations; growth over the second half, in bytes an operation.

    What is retained of an operation is memory that is meant to grow, up to the bound of retained arrivals.
    """
    every = min(EVERY, max(1, operations // 4))
    with ours(world, home) as server, tqdm(total=operations, desc="soak", unit="operation", unit_scale=True) as progress:
        resident = [server.resident_mib()["own"]]
        for count in [every] * (operations // every):
            exactly(server.port, itertools.islice(requests, count), CONNECTIONS, count)
            resident.append(server.resident_mib()["own"])
            progress.set_postfix_str(f"{resident[-1]:,.0f} MiB")
            progress.update(count)
    half = len(resident) // 2
    slope = float(np.polyfit(np.arange(half, len(resident)) * every, resident[half:], 1)[0])
    return {
        "operations": every * (len(resident) - 1), "every": every, "own_mib": resident, "grown_mib": resident[-1] - resident[half],
        "bytes_per_operation": slope * 2**20,
    }  # fmt: skip
