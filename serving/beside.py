"""Commands of ours in processes beside the server, at the lowest priority, so that the thread that answers callers is not held up."""

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from typing import NamedTuple

from domain.errors import StateError
from serving.place import DATABASE

LOWEST_PRIORITY = 19


class Ended(NamedTuple):
    """How a command ended: its exit code and its last words."""

    code: int
    said: str


async def run(*arguments: str, database: str, patience_s: float) -> Ended:
    """Run `burana ARGUMENTS` until it ends; it ends with this task. StateError where it takes too long.

    The database goes by the environment: every user of the machine sees arguments, and a URL may hold a password.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "serving.cli", *arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=os.environ | {DATABASE: database},
    )  # fmt: skip
    with suppress(ProcessLookupError):  # it has ended
        os.setpriority(os.PRIO_PROCESS, process.pid, LOWEST_PRIORITY)  # from here on: to begin takes half a second of CPU
    try:
        _, said = await asyncio.wait_for(process.communicate(), patience_s)
    except TimeoutError as error:
        raise StateError(f"burana {arguments[0]} took more than {patience_s:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
    return Ended(process.returncode or 0, said.decode(errors="replace").strip()[-500:])
