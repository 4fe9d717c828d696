"""From exec to /readyz: from the ledger alone, from what a clean stop left, and after a kill; and the memory of a fresh start."""

import statistics
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.endpoint.processes import Server
from benchmarks.endpoint.targets import ours
from benchmarks.endpoint.world import World


def measure(world: World, home: Path, empty: Path, times: int) -> tuple[Server, dict[str, Any]]:
    """The server of a home, left running, and seconds to readiness.

    empty: a home without history, for the memory of the program; times: clean stops, each with a start after it.

    The first start loads or compiles the kernel; it is counted only as `from_ledger_s`.
    """
    with tqdm(total=times + 3, desc="starts", unit="start", delay=2) as progress:

        def started(where: Path) -> Server:
            progress.update()
            return ours(world, where)

        with started(empty) as server:
            program = server.resident_mib()
        server = started(home)
        from_ledger, clean, stops = server.ready_s, [], []
        for _ in range(times):
            stops.append(server.stop())
            server = started(home)
            clean.append(server.ready_s)
        memory = server.resident_mib()
        server.kill()
        server = started(home)
    own = memory["own"] - program["own"]
    return server, {
        "ready_s": statistics.median(clean), "ready_s_starts": clean, "ready_from_ledger_s": from_ledger,
        "ready_after_kill_s": server.ready_s, "stop_s": stops, "resident_mib": memory, "resident_mib_without_history": program,
        "mib_per_100000_accounts": own / world.accounts * 100_000,
    }  # fmt: skip
