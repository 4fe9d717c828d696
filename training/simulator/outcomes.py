"""What becomes known of operations, by whom and when: late, not of all, and at times wrongly."""

import numpy as np

from domain import instants
from domain.criteria import Scheme
from domain.events import OutcomeSource, Verdict
from training.simulator.draft import NOBODY, Flags, Floats, Ints, Rows, code
from training.simulator.incidents import LATEST_ARRIVAL
from training.simulator.settings import WorldSettings

Rng = np.random.Generator

OUTCOME = np.dtype(
    [("known", np.int64), ("operation", np.int64), ("verdict", np.int8), ("source", np.int8), ("scheme", np.int8)]
)
"""known: UTC ms; operation: row among all operations; scheme: NOBODY for a legitimate one."""

_DELAYS = {
    # scheme: (median hours from the victim's last payment to the report, sigma)
    Scheme.FALSE_INVESTMENT: (260, 0.8),
    Scheme.FALSE_CALL: (16, 1.2),
    Scheme.FICTITIOUS_STORE: (170, 0.6),
    Scheme.ACCOUNT_TAKEOVER: (10, 1.1),
    Scheme.MULE_CHAIN: (80, 0.9),
    Scheme.SPLITTING: (50, 0.9),
    Scheme.AGENT_ABUSE: (250, 0.8),
    Scheme.EMPLOYEE_ABUSE: (280, 0.8),
    Scheme.CARD_MISUSE: (30, 1.1),
    Scheme.OTHER: (90, 1.0),
}
_VICTIM = ((OutcomeSource.CUSTOMER_NOTICE, 0.55), (OutcomeSource.LAW_ENFORCEMENT, 0.35), (OutcomeSource.PARTICIPANT, 0.1))
_MULE = ((OutcomeSource.LAW_ENFORCEMENT, 0.4), (OutcomeSource.PARTICIPANT, 0.3), (OutcomeSource.NATIONAL_BANK, 0.3))
_INSIDE = ((OutcomeSource.INVESTIGATION, 0.8), (OutcomeSource.CUSTOMER_NOTICE, 0.2))
_SOURCES = {
    Scheme.MULE_CHAIN: _MULE,
    Scheme.SPLITTING: _MULE,
    Scheme.AGENT_ABUSE: _INSIDE,
    Scheme.EMPLOYEE_ABUSE: _INSIDE,
}


def reported(rows: Rows, unreported_share: float, rng: Rng) -> Flags:
    """(n,) which operations are fraud that somebody reports: a victim reports all of one story, or nothing."""
    fraud = np.flatnonzero(rows["scheme"] != NOBODY)
    _, group, size = _victims(rows[fraud])
    order = rng.permutation(len(size))
    silent = np.zeros(len(size), np.bool_)
    silent[order] = np.cumsum(size[order]) <= unreported_share * len(fraud)
    flags = np.zeros(len(rows), np.bool_)
    flags[fraud] = ~silent[group]
    return flags


def _victims(fraud: Rows) -> tuple[Ints, Ints, Ints]:
    """First row, group of each row, and size of the groups of one victim in one story."""
    pairs = np.stack([fraud["story"], fraud["customer"]], axis=1)
    _, first, group, size = np.unique(pairs, axis=0, return_index=True, return_inverse=True, return_counts=True)
    return first, group.reshape(-1), size


def known(rows: Rows, told: Flags, settings: WorldSettings, rng: Rng) -> Rows:
    """Every outcome known before the end of the span; told: `reported`."""
    honest = np.flatnonzero(rows["scheme"] == NOBODY)
    parts = [
        _reports(rows, np.flatnonzero(told), rng),
        _verified(rows, honest[rng.random(len(honest)) < settings.verified_share], rng),
        _mistaken(rows, honest[rng.random(len(honest)) < settings.wrong_share], rng),
    ]
    outcomes = np.concatenate(parts)
    return outcomes[outcomes["known"] < settings.span.end]


def _outcomes(rows: Rows, operations: Ints, hours: Floats, verdict: Verdict, source: Ints | int, scheme: Ints | int) -> Rows:
    made = np.zeros(len(operations), OUTCOME)
    made["known"] = rows["occurred"][operations] + LATEST_ARRIVAL + (hours * instants.HOUR).astype(np.int64)
    made["operation"], made["verdict"], made["source"], made["scheme"] = operations, code(verdict), source, scheme
    return made


def _reports(rows: Rows, told: Ints, rng: Rng) -> Rows:
    """All of a victim's story at once, counted from its last operation."""
    first, group, size = _victims(rows[told])
    last = np.zeros(len(size), np.int64)
    np.maximum.at(last, group, rows["occurred"][told])
    schemes = rows["scheme"][told][first]
    hours = _hours(schemes, rng)[group] + (last[group] - rows["occurred"][told]) / instants.HOUR
    source = np.array([_source(scheme, rng) for scheme in schemes.tolist()], np.int64)
    return _outcomes(rows, told, hours, Verdict.FRAUD, source[group], rows["scheme"][told])


def _hours(schemes: Ints, rng: Rng) -> Floats:
    table = np.array([_DELAYS[scheme] for scheme in Scheme])
    return np.asarray(table[schemes, 0] * np.exp(table[schemes, 1] * rng.standard_normal(len(schemes))))


def _source(scheme: int, rng: Rng) -> int:
    sources, shares = zip(*_SOURCES.get(tuple(Scheme)[scheme], _VICTIM), strict=True)
    return code(sources[int(rng.choice(len(sources), p=shares))])


def _verified(rows: Rows, operations: Ints, rng: Rng) -> Rows:
    """Somebody asked the customer: it was he."""
    hours = rng.lognormal(2.2, 1.0, len(operations))
    return _outcomes(rows, operations, hours, Verdict.LEGITIMATE, code(OutcomeSource.VERIFICATION), NOBODY)


def _mistaken(rows: Rows, operations: Ints, rng: Rng) -> Rows:
    """A customer does not remember his own payment; half of these reports an investigation takes back later."""
    hours = rng.lognormal(3.5, 1.0, len(operations))
    wrong = _outcomes(rows, operations, hours, Verdict.FRAUD, code(OutcomeSource.CUSTOMER_NOTICE), code(Scheme.OTHER))
    back = rng.random(len(operations)) < 0.5
    later = hours[back] + 24 * rng.uniform(3, 12, back.sum())
    source = code(OutcomeSource.INVESTIGATION)
    corrected = _outcomes(rows, operations[back], later, Verdict.LEGITIMATE, source, NOBODY)
    return np.concatenate([wrong, corrected])
