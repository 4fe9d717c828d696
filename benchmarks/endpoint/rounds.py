"""Rounds of several servers in turn: as many answers as one core gives, latency of one connection, latency at a rate."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.endpoint.disk import fdatasync
from benchmarks.endpoint.generator import Round, closed, opened
from benchmarks.endpoint.targets import Target


@dataclass(frozen=True)
class Effort:
    """How long it is measured. connections: in flight, when throughput is measured; rate: requests a second of the open loop."""

    rounds: int = 3
    warm_s: float = 2.0
    busy_s: float = 4.0
    alone_s: float = 3.0
    open_s: float = 10.0
    connections: int = 32
    rate: float = 1_000.0
    appends: int = 500
    starts: int = 3


QUICK = Effort(rounds=1, warm_s=0.2, busy_s=0.3, alone_s=0.2, open_s=0.3, connections=8, rate=100, appends=20, starts=1)


@dataclass
class Measured:
    """What the rounds of one server were. cpu_us: of the server, an answer, while it is busy."""

    busy: list[Round] = field(default_factory=list)
    alone: list[Round] = field(default_factory=list)
    at_rate: list[Round] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """The best round of each kind, and every round beside it: what else ran on the machine only ever slows."""
        figures: dict[str, Any] = {
            "per_s": max(r.rate for r in self.busy), "per_s_rounds": [r.rate for r in self.busy],
            "cpu_us": min(self.cpu_us), "cpu_us_rounds": self.cpu_us, "busy_ms": [r.quantiles_ms() for r in self.busy],
            "alone_p50_ms": min(_p50(r) for r in self.alone), "alone_ms": [r.quantiles_ms() for r in self.alone],
        }  # fmt: skip
        if self.at_rate:
            told = [r.quantiles_ms() for r in self.at_rate]
            figures |= {"at_rate_ms": told, "p99_over_p50": min(each["p99"] / each["p50"] for each in told)}
        return figures


def measure(targets: Mapping[str, Target], effort: Effort, folder: Path, at_rate: frozenset[str]) -> dict[str, Any]:
    """The figures of every server by name, and `fdatasync_p50_ms` of the folder. at_rate: those that are met by the open loop."""
    found, disk = {name: Measured() for name in targets}, []
    steps = len(targets) * (1 + 2 * effort.rounds) + len(at_rate & set(targets)) * effort.rounds
    with tqdm(total=steps, desc="rounds", unit="round", delay=2) as progress:
        for name, target in targets.items():
            progress.set_postfix_str(f"{name} warms up")
            closed(target.server.port, target.requests, effort.connections, effort.warm_s)
            progress.update()
        for _ in range(effort.rounds):
            os.sync()  # snapshots of the starts, a gigabyte each, would be written back beside a round
            disk.append(float(np.median(fdatasync(folder, effort.appends))) * 1000)
            for name, target in targets.items():
                progress.set_postfix_str(name)
                _one(found[name], target, effort, name in at_rate)
                progress.update(2 + (name in at_rate))
    figures: dict[str, Any] = {name: measured.figures() for name, measured in found.items()}
    return figures | {"fdatasync_p50_ms": min(disk), "fdatasync_p50_ms_rounds": disk}


def _one(measured: Measured, target: Target, effort: Effort, at_rate: bool) -> None:
    server, requests = target.server, target.requests
    before = server.cpu_s()
    measured.busy.append(closed(server.port, requests, effort.connections, effort.busy_s))
    measured.cpu_us.append((server.cpu_s() - before) / len(measured.busy[-1].latencies) * 1e6)
    measured.alone.append(closed(server.port, requests, 1, effort.alone_s))
    if at_rate:
        measured.at_rate.append(opened(server.port, requests, effort.rate, effort.open_s))


def _p50(measured: Round) -> float:
    return measured.quantiles_ms()["p50"]
