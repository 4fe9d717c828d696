"""A server as a process of its own on one core: started, asked whether it is ready, measured, stopped."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from domain.errors import BuranaError

REPOSITORY = Path(__file__).resolve().parents[2]
SERVED_ON, SENT_FROM = 0, 1
"""The core of whatever serves, and that of the generator. A machine of one core has the first alone."""
START_TIMEOUT_S = 300
ASK_EVERY_S = 0.01


class BenchmarkError(BuranaError):
    """A server did not start, or answered otherwise than with 200: there is nothing to measure."""


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """This thread, and the processes that it starts meanwhile, on one core; as before afterwards."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Server:
    """A command that listens on `port`, on core SERVED_ON from its first instruction on; ready when `probe` answers 200."""

    def __init__(self, name: str, command: Sequence[str], port: int, probe: str, log: Path,
                 environment: Mapping[str, str] | None = None) -> None:  # fmt: skip
        """log: the file that takes what it prints. BenchmarkError when it ends before it is ready."""
        self.name, self.port, self._probe, self._log = name, port, probe, log
        began = time.perf_counter()
        with pinned(SERVED_ON), log.open("ab") as printed:
            self._process = subprocess.Popen(
                [*command],
                cwd=REPOSITORY,
                env=_environment() | dict(environment or {}),
                stdout=printed,
                stderr=printed,
                start_new_session=True,
            )
        try:
            self._wait()
        except BaseException:
            self.kill()
            raise
        self.ready_s = time.perf_counter() - began

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait(self) -> None:
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until and self._process.poll() is None:
            if self._is_ready():
                return
            time.sleep(ASK_EVERY_S)
        said = self._log.read_text(errors="replace")[-2_000:]
        raise BenchmarkError(f"{self.name} is not ready (exit code {self._process.poll()}); it said:\n{said}")

    def _is_ready(self) -> bool:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            try:
                connection.request("GET", self._probe)
                return connection.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                return False

    @property
    def pid(self) -> int:
        """The id of the process that was started."""
        return self._process.pid

    def cpu_s(self) -> float:
        """CPU seconds of the process, and of those that it started and that live."""
        return sum(_cpu_s(pid) for pid in _session(self.pid))

    def resident_mib(self) -> dict[str, float]:
        """Resident memory, of those that it started too: `own`, and `mapped` from files, which the kernel may drop."""
        return {"own": self._memory("RssAnon"), "mapped": self._memory("RssFile")}

    def _memory(self, field: str) -> float:
        lines = (line for pid in _session(self.pid) for line in _status(pid).splitlines())
        return sum(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024

    def stop(self) -> float:
        """SIGTERM to all of it, and wait; the seconds that it took."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to all of it, and wait."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> float:
        began = time.perf_counter()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, how)
        self._process.wait(timeout=120)
        return time.perf_counter() - began


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _session(leader: int) -> list[int]:
    """The processes of a session: a server and whatever it started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))) and int(stat[3]) == leader:
            found.append(int(entry.name))
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on; nothing for a process that has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _cpu_s(pid: int) -> float:
    stat = _stat(pid)
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK") if stat else 0.0


def _environment() -> dict[str, str]:
    """As here, but with modules kept compiled, as every installation has them: else each start compiles a thousand of them."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
