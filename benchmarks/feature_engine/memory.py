"""Memory touched and freed again before a part begins: `python -m benchmarks.feature_engine.memory`.

A virtual machine takes what it never held from its host, page by page, and that is charged to whoever touches it first: 4 GiB took
0.4 to 10 seconds of the system here. So three quarters of what is free are touched before every part, ours and the peers'
alike, by a process of its own: the part's CPU seconds and peak memory are its own work.
"""

import mmap
import os

PAGE = 4096
SHARE = 0.75
"""Of the memory that is free: the rest is left to those who run meanwhile."""


def main() -> None:
    """Touch every page once; the memory is free again when the process ends."""
    with mmap.mmap(-1, int(os.sysconf("SC_AVPHYS_PAGES") * PAGE * SHARE)) as memory:
        for page in range(0, len(memory), PAGE):
            memory[page] = 1


if __name__ == "__main__":
    main()
