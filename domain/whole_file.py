"""A small file written whole or not at all: what a crash or a loss of power leaves is the file of before, or this one."""

import os
from pathlib import Path


def write_whole(file: Path, text: str, mode: int = 0o666) -> None:
    """Write a file, in place of an older one once it is on the disk. mode: its permissions, less the process's umask."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8", newline="") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    draft.replace(file)
