"""Garbage while callers wait: an operation leaves none that counting references does not free, so it is looked for seldom."""

import gc

YOUNG = 20_000
"""Objects more than there were at the last look before the youngest are looked through. By Python's 700 that was every thirty
operations, of which what is under way, and no garbage, was the most: 5% of the time of the thread that answers."""
WHOLE_EVERY = 20
"""Looks at the youngest and the next before one at everything: a million operations. By Python's own rule there was one every two
seconds, which took 14 to 50 ms: most of it in what was remembered of identifiers then, a dictionary of 65,536 values."""


def leave_what_is_loaded() -> None:
    """Collect once; what is left stays and is not looked through again, which cost 8% of the thread that answers."""
    gc.collect()
    gc.freeze()
    _, middle, _ = gc.get_threshold()
    gc.set_threshold(YOUNG, middle, WHOLE_EVERY)
