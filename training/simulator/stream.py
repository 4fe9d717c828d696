"""The stream: everything in its one order of arrival, and drafted rows turned into the tables of a canonical history."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.criteria import Scheme
from domain.events import Event, EventType, Outcome, OutcomeSource, Verdict
from domain.operation import Kind, Operation
from features.history import History, schema
from training.simulator.books import INSTRUMENTS, looked_up
from training.simulator.draft import AUTHORISATION_METHODS, CURRENCIES, LOGIN_METHODS, NOBODY, Flags, Ints, Rows, code
from training.simulator.incidents import LATEST_ARRIVAL
from training.simulator.world import World

Rng = np.random.Generator
Columns = dict[str, pa.Array]

TRUTH = pa.schema(
    [
        pa.field("operation_id", pa.string(), nullable=False),
        pa.field("scheme", pa.string()),
        pa.field("reported", pa.bool_(), nullable=False),
        pa.field("habitual", pa.bool_(), nullable=False),
    ]
)
"""What really happened: scheme is null for a legitimate operation; reported: somebody reports it, be it after the span;
habitual: drawn from the victim's habits. For stress tests and demonstrations of estimators: neither features nor training
read it."""

_PURPOSES = ("перевод", "за товар", "возврат долга", "аренда", "подарок", "оплата услуг", "семье")


@dataclass(frozen=True)
class Draft:
    """Drafted rows of one world; `told` says of each operation whether its fraud is reported."""

    operations: Rows
    events: Rows
    outcomes: Rows
    told: Flags


def arranged(world: World, draft: Draft, rng: Rng) -> tuple[History, pa.Table]:
    """The canonical history of a draft, and its truth."""
    events = _within_span(world, draft.events)
    arrivals = [_arrivals(world, draft.operations, rng), events["occurred"], draft.outcomes["known"]]
    places = _places(arrivals, rng)
    by_arrival = [np.argsort(place) for place in places]
    names = np.empty(len(draft.operations), np.int64)
    names[by_arrival[0]] = np.arange(len(names)) + 1
    operations = draft.operations[by_arrival[0]]
    sequences = [np.sort(place) for place in places]
    history = History(
        _table(Operation, sequences[0], _operation_columns(world, operations, rng)),
        _table(Event, sequences[1], _event_columns(world, events[by_arrival[1]], names)),
        _table(Outcome, sequences[2], _outcome_columns(draft.outcomes[by_arrival[2]], names)),
    )
    return history, _truth(operations, draft.told[by_arrival[0]])


def _within_span(world: World, events: Rows) -> Rows:
    """Events of customers inside the span."""
    within: Flags = (events["occurred"] >= world.people.joined[events["customer"]]) & (events["occurred"] < world.span.end)
    return events[within]


def _arrivals(world: World, operations: Rows, rng: Rng) -> Ints:
    """Most operations arrive as they occur; some seconds to minutes late."""
    late = rng.random(len(operations)) < world.settings.late_share
    delay = np.clip(1000 * rng.lognormal(3.6, 1.1, len(operations)), 2_000, LATEST_ARRIVAL - 1)
    return np.asarray(operations["occurred"] + np.where(late, delay, 0).astype(np.int64))


def _places(arrivals: list[Ints], rng: Rng) -> list[Ints]:
    """The place of each row in the one order of arrival, from 1; a tie is decided by lot, never by who is a fraud."""
    instant = np.concatenate(arrivals)
    order = np.lexsort((rng.permutation(len(instant)), instant))
    place = np.empty(len(instant), np.int64)
    place[order] = np.arange(1, len(instant) + 1)
    return np.split(place, np.cumsum([len(a) for a in arrivals])[:-1])


def _table(struct: type, sequence: Ints, columns: Columns) -> pa.Table:
    """Columns that are not given are null."""
    wanted, count = schema(struct), len(sequence)
    columns = {"sequence": pa.array(sequence), **columns}
    arrays = [columns[field.name] if field.name in columns else pa.nulls(count, field.type) for field in wanted]
    return pa.Table.from_arrays([array.cast(field.type) for array, field in zip(arrays, wanted, strict=True)], schema=wanted)


def _operation_columns(world: World, rows: Rows, rng: Rng) -> Columns:
    top_up = rows["kind"] == code(Kind.TOP_UP)
    source = np.where(top_up, rows["sender"], NOBODY)
    tool = np.where(top_up, world.parties.tool[rows["sender"]], NOBODY)
    return {
        "operation_id": _numbered("op", np.arange(1, len(rows) + 1)),
        "occurred_at": _instants(rows["occurred"]),
        "kind": _word(Kind, rows["kind"]),
        "amount_minor": pa.array(rows["minor"]),
        "currency": looked_up(CURRENCIES, rows["currency"]),
        **_parties(world, "sender", rows["sender"]),
        **_parties(world, "recipient", rows["recipient"]),
        **_device(world, rows, rng),
        **_access(world, rows),
        "access_agent_id": looked_up(world.trade.agents.ids, rows["agent"]),
        "funding_instrument": looked_up(INSTRUMENTS, tool),
        "funding_source": world.parties.words("source", source),
        "category": _category(world, rows),
        "purpose": _purpose(rows, rng),
    }


def _event_columns(world: World, rows: Rows, names: Ints) -> Columns:
    return {
        "event_id": _numbered("ev", np.arange(1, len(rows) + 1)),
        "occurred_at": _instants(rows["occurred"]),
        "type": _word(EventType, rows["type"]),
        **_parties(world, "customer", world.people.party[rows["customer"]]),
        **_device(world, rows, None),
        **_access(world, rows),
        "operation_id": _numbered("op", np.where(rows["operation"] == NOBODY, NOBODY, names[rows["operation"]])),
    }


def _outcome_columns(rows: Rows, names: Ints) -> Columns:
    return {
        "outcome_id": _numbered("out", np.arange(1, len(rows) + 1)),
        "operation_id": _numbered("op", names[rows["operation"]]),
        "verdict": _word(Verdict, rows["verdict"]),
        "known_at": _instants(rows["known"]),
        "source": _word(OutcomeSource, rows["source"]),
        "scheme": _word(Scheme, rows["scheme"]),
    }


def _truth(operations: Rows, told: Flags) -> pa.Table:
    columns = [
        _numbered("op", np.arange(1, len(operations) + 1)),
        _word(Scheme, operations["scheme"]),
        pa.array(told),
        pa.array(operations["habitual"]),
    ]
    return pa.Table.from_arrays(columns, schema=TRUTH)


def _numbered(prefix: str, numbers: Ints) -> pa.Array:
    """`op-00000001`; null for NOBODY."""
    digits = pc.utf8_lpad(pa.array(numbers, mask=numbers == NOBODY).cast(pa.string()), 8, "0")
    return pc.binary_join_element_wise(prefix, digits, "-")


def _instants(ms: Ints) -> pa.Array:
    return pa.array(ms).cast(pa.timestamp("ms", tz="UTC"))


def _word(enumeration: type[StrEnum], codes: Ints) -> pa.Array:
    return looked_up([str(member) for member in enumeration], codes.astype(np.int64))


def _parties(world: World, side: str, rows: Ints) -> Columns:
    fields = ("customer_id", "account", "wallet", "card", "phone", "service", "institution", "country", "qr_id")
    return {f"{side}_{name}": world.parties.words(name, rows) for name in (*fields, "virtual_asset_address")}


def _device(world: World, rows: Rows, rng: Rng | None) -> Columns:
    """Device and place; with `rng` also the position, to some ten metres, where the device may read it."""
    device, place, unknown = rows["device"], rows["place"], rows["place"] == NOBODY
    columns = {
        "device_id": world.devices.words("id", device),
        "device_application": world.devices.words("application", device),
        "device_ip": world.places.words("ip", place),
        "device_country": world.places.words("country", place),
        "device_vpn": pa.array(world.places.vpn[place], mask=unknown),
    }
    if rng is None:
        return columns
    hidden = unknown | (device == NOBODY) | ~world.devices.positioned[device]
    for name, degrees in (("latitude", world.places.latitude), ("longitude", world.places.longitude)):
        read = np.round(degrees[place] + 0.0005 * rng.standard_normal(len(rows)), 4)
        columns[f"device_{name}"] = pa.array(read, mask=hidden)
    return columns


def _access(world: World, rows: Rows) -> Columns:
    return {
        "access_session_id": _numbered("s", rows["session"]),
        "access_login_method": looked_up(LOGIN_METHODS, rows["login"]),
        "access_authorisation_method": looked_up(AUTHORISATION_METHODS, rows["authorisation"]),
        "access_employee_id": looked_up(world.trade.employees, rows["employee"]),
    }


def _category(world: World, rows: Rows) -> pa.Array:
    """What the merchant sells; cash and virtual assets have categories of their own."""
    category = world.parties.category[rows["recipient"]]
    for kind, mcc in ((Kind.CASH_WITHDRAWAL, 6011), (Kind.VIRTUAL_ASSET_TRANSFER, 6051)):
        category = np.where(rows["kind"] == code(kind), mcc, category)
    return looked_up([f"{mcc:04d}" for mcc in range(10_000)], category)


def _purpose(rows: Rows, rng: Rng) -> pa.Array:
    """A third of transfers say what they are for."""
    kinds = [code(kind) for kind in (Kind.DOMESTIC_TRANSFER, Kind.BANK_ACCOUNT, Kind.INTERNATIONAL_TRANSFER, Kind.E_WALLET)]
    said = np.isin(rows["kind"], kinds) & (rng.random(len(rows)) < 0.35)
    return looked_up(_PURPOSES, np.where(said, rng.integers(0, len(_PURPOSES), len(rows)), NOBODY))
