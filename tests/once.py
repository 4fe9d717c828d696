"""What a test run makes once for all its processes."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, made: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of this run; whoever asks first makes it, the others wait. made: the file in it that is there when it is made."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / made).exists():
            make(shared)
    return shared
