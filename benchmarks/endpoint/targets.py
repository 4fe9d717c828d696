"""Who serves: ours by its real command, and the peers by theirs, each with the requests that it is sent."""

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.endpoint.asked import OPERATIONS, VECTORS, requests
from benchmarks.endpoint.processes import Server, free_port
from benchmarks.endpoint.stock_contract import MODEL, STORE
from benchmarks.endpoint.world import World

ROUTE = "/v1/operations"
PEERS = ("stock", "mlflow_serve", "fastapi_constant", "echo")


@dataclass(frozen=True)
class Target:
    """A running server and the requests that are left for it."""

    server: Server
    requests: Iterator[bytes]


def ours(world: World, home: Path, *arguments: str) -> Server:
    """`burana serve` on a home; its log is there."""
    port = free_port()
    command = [sys.executable, "-m", "serving.cli", "serve", "--home", str(home), "--models", str(world.models),
               "--profiles", str(world.snapshots), "--port", str(port), *arguments]  # fmt: skip
    return Server("burana serve", command, port, "/readyz", home / "serve.log")


def peer(name: str, world: World) -> Target:
    """One of PEERS, running."""
    operations = requests(world.asked / OPERATIONS, ROUTE)
    match name:
        case "stock":
            environment = {STORE: str(world.peer_store), MODEL: str(world.peer_model)}
            return Target(_uvicorn(name, world, "stock:app", environment), operations)
        case "mlflow_serve":
            return Target(_mlflow(world), requests(world.asked / VECTORS, "/invocations"))
        case "fastapi_constant":
            return Target(_uvicorn(name, world, "plain:constant"), operations)
    return Target(_uvicorn(name, world, "plain:echo"), operations)


def _uvicorn(name: str, world: World, application: str, environment: Mapping[str, str] | None = None) -> Server:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", f"benchmarks.endpoint.{application}", "--port", str(port),
               "--log-level", "warning", "--no-access-log"]  # fmt: skip
    return Server(name, command, port, "/readyz", world.folder / f"{name}.log", environment)


def _mlflow(world: World) -> Server:
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(world.peer_model), "--env-manager", "local",
               "--workers", "1", "--port", str(port)]  # fmt: skip
    found = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}  # it calls `uvicorn` by name
    return Server("mlflow models serve", command, port, "/ping", world.folder / "mlflow_serve.log", found)
