"""What counts as fraud and as genuine, as known at a moment: the one rule that training and the backtest of rules read."""

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1


def settled(
    verdicts: NDArray[np.int8], times: NDArray[np.int64], stopped: NDArray[np.bool_], as_of: int, delay: int
) -> NDArray[np.int8]:
    """The label of each operation (n,) as known at a moment: 1 fraud, 0 genuine, UNKNOWN.

    verdicts: (n,) what the last outcome known by then says, UNKNOWN without one; times: (n,) ms; stopped: (n,) verified or rejected,
    so that no victim has anything to report; as_of: ms; delay: ms until silence counts as genuine.

    | operation                                    | outcome known by `as_of` | label                                      |
    |----------------------------------------------|--------------------------|--------------------------------------------|
    | younger than `delay`                         | any or none              | UNKNOWN                                    |
    | any, whichever layer stopped it, or none did | some                     | the last one: fraud stopped by rules is 1  |
    | passed, let pass by lot, or never decided    | none                     | 0: nobody reported it in time              |
    | verified, by lot or not                      | none                     | UNKNOWN: no victim reports what is stopped |
    | rejected by registry, rules or score         | none                     | UNKNOWN: likewise                          |

    A label is what somebody found out, never what a layer said: rules read what the model reads, and the score is the model,
    so a label made of them would teach the model to repeat them. A young operation is unknown even when its outcome is known:
    what is known early is mostly fraud, and training on it alone would teach that recent operations are (measured on a
    simulated history: 17.6% fraud among the young with an outcome, 0.4% among the settled).
    """
    labels = verdicts.copy()
    labels[(labels == UNKNOWN) & ~stopped] = 0
    labels[times >= as_of - delay] = UNKNOWN
    return labels
