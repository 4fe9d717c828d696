"""Fraud that no behaviour tells: operations drawn from the victims' own habits, and nothing else about them.

A known seller does not ship, a friend's account asks for the usual help, a relative uses the telephone. By construction
such an operation is exchangeable with the legitimate ones of its kind: no detector can do better on it than chance.
"""

import numpy as np

from domain.criteria import Scheme
from domain.operation import Kind
from training.simulator.draft import NOBODY, Channel, Flags, Ints, Rows, code

_FIRST_STORY = 10**9
"""Stories of habit are numbered apart from the actors'."""

_BY_KIND = {
    Kind.QR_OR_CARD: (Scheme.FICTITIOUS_STORE, Scheme.FICTITIOUS_STORE, Scheme.CARD_MISUSE),
    Kind.E_WALLET: (Scheme.FICTITIOUS_STORE, Scheme.OTHER),
    Kind.DOMESTIC_TRANSFER: (Scheme.FALSE_CALL, Scheme.OTHER, Scheme.ACCOUNT_TAKEOVER),
    Kind.MOBILE_APPLICATION: (Scheme.FALSE_CALL, Scheme.OTHER),
    Kind.INTERNATIONAL_TRANSFER: (Scheme.FALSE_INVESTMENT,),
    Kind.VIRTUAL_ASSET_TRANSFER: (Scheme.FALSE_INVESTMENT,),
    Kind.CASH_WITHDRAWAL: (Scheme.CARD_MISUSE, Scheme.OTHER),
}
"""What a victim may be told of an operation of this kind."""


def labelled(life: Rows, owners: Ints, fraud: int, share: float, rng: np.random.Generator) -> Rows:
    """Life with some operations turned to fraud, so that they are `share` of it beside `fraud` operations of actors.

    owners: customer behind each row of the party book.
    """
    eligible = np.flatnonzero(_paid_by_customer(life, owners))
    count = min(len(eligible), round(fraud * share / (1 - share)))
    rows = rng.choice(eligible, count, replace=False)
    life["habitual"][rows] = True
    life["scheme"][rows] = [_scheme(life[row], rng) for row in rows.tolist()]
    life["story"][rows] = _FIRST_STORY + np.arange(count)
    return life


def _paid_by_customer(life: Rows, owners: Ints) -> Flags:
    of_kind = np.isin(life["kind"], [code(kind) for kind in _BY_KIND])
    himself: Flags = (owners[life["sender"]] != NOBODY) & (life["channel"] != Channel.BRANCH)
    return of_kind & himself


def _scheme(row: Rows, rng: np.random.Generator) -> int:
    if row["channel"] == Channel.AGENT:
        return code(Scheme.AGENT_ABUSE)
    schemes = _BY_KIND[tuple(Kind)[int(row["kind"])]]
    return code(schemes[int(rng.integers(0, len(schemes)))])
