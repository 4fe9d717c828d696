"""A lock between processes, by a file: whoever holds it lets go when his process ends, however that ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(file: Path, is_patient: bool = False) -> Iterator[bool]:
    """Whether nobody else holds it meanwhile; who is patient waits until that is so. The file is made, and stays, empty."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="ascii") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | (0 if is_patient else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
