"""Where tasks run: in this process, in several processes, or on a Ray cluster."""

import logging
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, Protocol

from tqdm import tqdm

from domain.errors import SettingsError

LOCAL = "local"
"""The address that starts a Ray of our own on this machine."""


class Task(Protocol):
    """What a runner runs: sent to where it runs, as a value."""

    def run(self) -> None:
        """Read a file, write a file."""


Runner = Callable[[Sequence[Task], str], None]
"""Runs tasks, in any order, and shows how many are done under a name; returns when all are done, raises what one raised."""


def run_here(tasks: Sequence[Task], name: str) -> None:
    """One after another in this process."""
    for task in _counted(iter(tasks), len(tasks), name):
        task.run()


@contextmanager
def processes(workers: int) -> Iterator[Runner]:
    """A pool of processes on this machine."""
    if workers < 1:
        raise SettingsError(f"workers: seen {workers}, allowed 1 and more")
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:

        def run(tasks: Sequence[Task], name: str) -> None:
            running = [pool.submit(task.run) for task in tasks]
            for done in _counted(as_completed(running), len(tasks), name):
                done.result()

        yield run


@contextmanager
def ray_cluster(address: str, workers: int | None = None) -> Iterator[Runner]:
    """The Ray cluster at an address, or one of our own with `workers` processes at LOCAL, gone at the end of the block.

    Burana is installed on every machine of the cluster, in the same version. SettingsError when Ray is not installed here,
    or none is there.
    """
    try:
        import ray  # noqa: PLC0415 - optional, and seconds to import
    except ImportError as error:
        raise SettingsError("--ray: Ray is not installed here; install burana[distributed]") from error
    # tasks hand over files, so the store of objects may be the smallest
    own = {"num_cpus": workers, "include_dashboard": False, "object_store_memory": 80 << 20}
    started: dict[str, Any] = own if address == LOCAL else {"address": address}
    try:
        ray.init(log_to_driver=False, logging_level=logging.WARNING, **started)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise SettingsError(
            f"--ray: seen {address!r}, where no Ray answered or could be started; allowed: the address of one that runs, or {LOCAL!r}: {error}"
        ) from error
    remote = ray.remote(_run)

    def run(tasks: Sequence[Task], name: str) -> None:
        for _ in _counted(_completed(ray, [remote.remote(task) for task in tasks]), len(tasks), name):
            pass

    try:
        yield run
    finally:
        ray.shutdown()


def _completed(ray: Any, pending: list[Any]) -> Iterator[None]:
    """Nothing for each task that is done; what a task raised is raised."""
    while pending:
        done, pending = ray.wait(pending)
        ray.get(done)
        yield None


def _run(task: Task) -> None:
    task.run()


def _counted(items: Iterator[Any], total: int, name: str) -> Iterator[Any]:
    yield from tqdm(items, total=total, desc=name, unit="part", delay=2, mininterval=1)
