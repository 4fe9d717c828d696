"""The whole way on a simulated world: simulate, train, serve, replay the last days over HTTP."""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq

from domain.errors import SettingsError
from domain.json_file import add_json

START_TIMEOUT_S = 90


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="takes everything that the demo makes; made anew")
    parser.add_argument("--customers", type=int, default=3_000)
    parser.add_argument("--days", type=int, default=75)
    parser.add_argument("--replay-days", type=int, default=10, help="the last days, served instead of trained on")
    parser.add_argument("--seed", type=int, default=1)
    add_json(parser, "write the figures of the replay")


def run(arguments: argparse.Namespace) -> int:
    """Each step is a command that the reader can run alone; it is printed before it runs."""
    began, folder = time.perf_counter(), arguments.folder
    _made_anew(folder)
    history, models, home, mlflow = folder / "history", folder / "models", folder / "home", f"sqlite:///{folder}/mlflow.db"
    world = ("--customers", str(arguments.customers), "--days", str(arguments.days), "--seed", str(arguments.seed))
    _step("1. A payment world of its own, with fraud as actors", "simulate", "--out", str(history), *world)
    split, profiles = _day_before_end(history, arguments.replay_days), folder / "profiles"
    _step(f"2. A model trained on what was known before {split}", "train", "--history", str(history), "--to", split,
          "--models", str(models), "--mlflow", mlflow, "--profiles", "--champion", "--by", "demo",
          "--warm-up-days", str(arguments.days // 5))  # fmt: skip
    first = _day_before_end(history, arguments.replay_days + 2)
    _step("3. Profiles of the days to come, through Feast, as each day would have found them", "features", "materialise",
          "--history", str(history), "--store", str(profiles), "--from", first, "--every-day")  # fmt: skip
    _step(
        f"4. The ledger as it would be on {split}", "backfill", "--home", str(home), "--history", str(history), "--to", split
    )
    key = _run("keys", "make", "--home", str(home), "--caller", "demo", "--by", "demo", quiet=True).strip()
    figures = arguments.json or folder / "replay.json"
    with _served(home, models, profiles / "snapshots") as url:
        _step(f"5. The days from {split} over HTTP at {url}", "replay", "--history", str(history), "--from", split,
              "--url", url, "--json", str(figures), key=key)  # fmt: skip
    _step("6. The served vectors against the batch path", "features", "verify", "--home", str(home))
    operations = json.loads(figures.read_text())["operations"]
    print(_where_next(folder, operations, time.perf_counter() - began))
    return 0


def _made_anew(folder: Path) -> None:
    marker = folder / ".made-by-burana-demo"
    if folder.exists():
        if not marker.exists():
            raise SettingsError(f"{folder} exists and was not made by the demo; name another --folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    marker.touch()


def _day_before_end(history: Path, days: int) -> str:
    """The first of the last `days` days of a history, as 2026-03-07."""
    last = pq.read_table(history / "operations.parquet", columns=["occurred_at"])["occurred_at"].to_numpy().max()
    return str((last.astype("datetime64[D]").item() - timedelta(days=days - 1)).isoformat())


def _step(title: str, *arguments: str, key: str | None = None) -> None:
    print(f"\n{title}\n$ burana {' '.join(arguments)}", flush=True)
    _run(*arguments, key=key)


def _run(*arguments: str, key: str | None = None, quiet: bool = False) -> str:
    """Run a burana command; SettingsError when it fails."""
    environment = os.environ | ({"BURANA_KEY": key} if key else {})
    done = subprocess.run(
        [sys.executable, "-m", "serving.cli", *arguments], env=environment, check=False, text=True,
        stdout=subprocess.PIPE if quiet else None,
    )  # fmt: skip
    if done.returncode != 0:
        raise SettingsError(f"`burana {' '.join(arguments)}` ended with {done.returncode}; what it said stands above")
    return done.stdout or ""


@contextlib.contextmanager
def _served(home: Path, models: Path, profiles: Path) -> Iterator[str]:
    """A running endpoint on a free port; stopped in the end, after what is on its way to the disk is there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "serving.cli",
        "serve",
        "--home",
        str(home),
        "--models",
        str(models),
        "--profiles",
        str(profiles),
        "--port",
        str(port),
    ]
    with (
        (home / "serve.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as server,
    ):
        try:
            _wait_until_ready(url, server, home / "serve.log")
            yield url
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)


def _wait_until_ready(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"{url}/readyz", timeout=1).close()  # noqa: S310 the address is ours
            return
        time.sleep(0.1)
    raise SettingsError(f"the endpoint did not become ready; it said:\n{log.read_text(encoding='utf-8')[-2000:]}")


def _where_next(folder: Path, operations: int, seconds: float) -> str:
    return f"""
{operations:,} operations were decided by a model that was trained a minute ago, each durable before it was answered.
The world is simulated: these figures say that the parts fit together, nothing about quality. The whole way took {seconds:.0f} s.

Where to look next
  the interface   .venv/bin/burana serve --home {folder}/home --models {folder}/models --profiles {folder}/profiles/snapshots
                  then http://127.0.0.1:8000/docs (any name, a key as password; .venv/bin/burana keys make --home {folder}/home --caller me --by me)
  training runs   MLFLOW_DISABLE_TELEMETRY=true .venv/bin/mlflow ui --backend-store-uri sqlite:///{folder}/mlflow.db
  the notebooks   .venv/bin/jupyter lab notebooks
                  recall_and_false_positives, thresholds, errors, feature_value, drift: on {folder}, or on what their variables name
  what moved      .venv/bin/burana drift --home {folder}/home --models {folder}/models
  the model card  {folder}/models/*/CARD.md"""
