"""A declaration in words: what its value means, over which window, when it is missing, of which kinds of operation.

For the catalogue and for whoever else shows features to people. Everything is made from the declaration, so it cannot differ
from what is computed.
"""

import math

from domain.instants import DAY, HOUR, MINUTE, SECOND
from features.language import (
    ANY,
    OWN_VALUES,
    RETAINED,
    Aggregate,
    Declaration,
    Feature,
    Group,
    IsLater,
    Mark,
    Own,
    Pace,
    Ratio,
    Share,
    SinceNth,
    Steps,
    Where,
)
from features.layout import NIGHT_ENDS, ZONE_NAME, Column, Fact, Slot

ENTITIES = {
    Slot.SENDER: "sender's account",
    Slot.RECIPIENT: "recipient's account",
    Slot.CUSTOMER: "customer",
    Slot.DEVICE: "device",
    Slot.ADDRESS: "network address",
    Slot.AGENT: "agent",
    Slot.EMPLOYEE: "employee",
}
BY_WAY_OF = {
    Slot.DEVICE: "from the device",
    Slot.ADDRESS: "from the network address",
    Slot.AGENT: "through the agent",
    Slot.EMPLOYEE: "by the employee",
}
"""What an arrival has to do with an entity that is not the one that pays."""
COLUMNS = {
    Column.SENDER: ("sender's account", "senders' accounts"),
    Column.RECIPIENT: ("recipient's account", "recipients' accounts"),
    Column.CUSTOMER: ("customer", "customers"),
    Column.DEVICE: ("device", "devices"),
    Column.ADDRESS: ("network address", "network addresses"),
    Column.AGENT: ("agent", "agents"),
    Column.EMPLOYEE: ("employee", "employees"),
    Column.CATEGORY: ("merchant category", "merchant categories"),
    Column.FUNDING: ("source of money", "sources of money"),
    Column.COUNTRY: ("device country", "device countries"),
    Column.LOGIN_METHOD: ("way of logging in", "ways of logging in"),
    Column.AUTHORISATION_METHOD: ("authorisation method", "authorisation methods"),
    Column.RECIPIENT_COUNTRY: ("recipient's country", "recipients' countries"),
    Column.INSTITUTION: ("recipient's institution", "recipients' institutions"),
    Column.KIND: ("kind", "kinds"),
    Column.HOUR: ("hour of the day", "hours of the day"),
    Column.WEEKDAY: ("weekday", "weekdays"),
    Column.BAND: ("amount band", "amount bands"),
    Column.SHIFTED_BAND: ("shifted amount band", "shifted amount bands"),
}
"""A column's value, and several."""
KINDS = {
    Fact.BANK_ACCOUNT: ("bank account operation", "bank account operations"),
    Fact.MOBILE_APPLICATION: ("mobile application operation", "mobile application operations"),
    Fact.E_WALLET: ("e-wallet operation", "e-wallet operations"),
    Fact.QR_OR_CARD: ("QR or card payment", "QR or card payments"),
    Fact.DOMESTIC_TRANSFER: ("domestic transfer", "domestic transfers"),
    Fact.INTERNATIONAL_TRANSFER: ("international transfer", "international transfers"),
    Fact.VIRTUAL_ASSET_TRANSFER: ("virtual asset transfer", "virtual asset transfers"),
    Fact.CASH_WITHDRAWAL: ("cash withdrawal", "cash withdrawals"),
    Fact.TOP_UP: ("top-up", "top-ups"),
    Fact.OTHER: ("operation of another kind", "operations of other kinds"),
}
EVENTS = {
    Fact.LOGIN_SUCCEEDED: ("successful log-in", "successful log-ins"),
    Fact.LOGIN_FAILED: ("failed log-in", "failed log-ins"),
    Fact.CONTACT_CHANGED: ("change of contact data", "changes of contact data"),
    Fact.DEVICE_ENROLLED: ("enrolment of a device", "enrolments of devices"),
    Fact.LOGIN_METHOD_CHANGED: ("change of the way of logging in", "changes of the way of logging in"),
    Fact.AUTHORISATION_METHOD_CHANGED: ("change of the authorisation method", "changes of the authorisation method"),
    Fact.OPERATION_RETURNED: ("returned operation", "returned operations"),
    Fact.OPERATION_CANCELLED: ("cancelled operation", "cancelled operations"),
}
KNOWN = {Fact.FRAUD_KNOWN: "that became known as fraud", Fact.GENUINE_KNOWN: "that became known as genuine"}
TRAITS = {
    Fact.FOREIGN: "to another country",
    Fact.VPN: "through a VPN or proxy",
    Fact.DEVICE_GIVEN: "with a device or address given",
    Fact.LOCATED: "with a known place",
    Fact.OTHER_INSTITUTION: "to another institution",
    Fact.NIGHT: "at night",
}
OWN_MEANINGS = {
    "amount": "amount of the operation",
    "hour": f"hour of the day of the operation, on the clock of {ZONE_NAME}",
    "weekday": f"weekday of the operation, on the clock of {ZONE_NAME}; Monday is 0",
    "kind": "kind of the operation, as its place in the list of R46-R55",
    "foreign": "1 when the operation goes to another country, else 0",
    "vpn": "1 when the operation comes through a VPN or proxy, else 0",
    "device_given": "1 when a device or a network address is given, else 0",
    "located": "1 when the place of the device is given, else 0",
    "other_institution": "1 when sender and recipient are at different institutions, else 0",
    "night": f"1 when the operation is made before {NIGHT_ENDS} in the morning, on the clock of {ZONE_NAME}, else 0",
    "window_truncated": "1 when the longest window reaches back further than the arrivals that are retained, else 0",
}

SHOWN_UNITS = ("km", "km/h", "days", "bits", "standard deviations")
"""Units that a meaning does not say by itself."""


# ---- a declaration ---------------------------------------------------------------------------------------------------


def meaning(declaration: Declaration) -> str:
    """A sentence that says what the value is, without a full stop."""
    match declaration:
        case Own(of):
            return OWN_MEANINGS[of]
        case Ratio(numerator, denominator):
            return f"{meaning(numerator)}, divided by the {meaning(denominator)}"
    how, by = declaration.how, declaration.by
    column, columns = _column(how)
    windowed = how.takes_window and not how.looks_at_any
    what = arrivals(declaration.where, by) + (_within(declaration.over) if windowed else "")
    return how.meaning.format(
        what=what,
        column=column,
        columns=columns,
        of=narrower(how.of) if isinstance(how, Share) else "",
        than=arrivals(how.than, by) if isinstance(how, IsLater) else "",
        habit=length(how.habit) if isinstance(how, Pace) else "",
        n=how.nth if isinstance(how, SinceNth) else "",
        scheme=how.scheme.replace("_", " ") if isinstance(how, Steps) else "",
        steps=", then ".join(an(arrivals(step, by, plural=False)) for step in how.steps) if isinstance(how, Steps) else "",
        window=_within(declaration.over).lstrip(", "),
    )


def window(declaration: Declaration) -> str:
    """`10 minutes`, `1 hour against 30 days`, or `retained`; `none` for the operation itself."""
    match declaration:
        case Own():
            return "none"
        case Ratio(numerator, denominator):
            return " against ".join(dict.fromkeys((window(numerator), window(denominator))))
        case Feature(how=Pace(habit), over=over):
            return f"{_number_of(over)} against {_number_of(habit)}"
    return "retained" if declaration.over == RETAINED else _number_of(declaration.over)


def missing(declaration: Declaration) -> str:
    """Its value when there is none, and when that is."""
    value = "NaN" if math.isnan(declaration.missing) else f"{declaration.missing:g}"
    match declaration:
        case Own():
            return "never"
        case Ratio(_, denominator):
            return f"{value}: {_unknown(denominator.by)}; the divisor is 0"
    column, _ = _column(declaration.how)
    nothing = declaration.how.nothing.format(column=column)
    return f"{value}: {_unknown(declaration.by)}" + (f"; {nothing}" if nothing else "")


def kinds(declaration: Declaration) -> str:
    """The kinds of operation (R46-R55) whose history it tells, or `all`."""
    match declaration:
        case Own():
            return "all"
        case Ratio(numerator, denominator):
            needed = [kinds_of(part.where) for part in (numerator, denominator)]
        case Feature(how=Steps(_, steps)):
            needed = [kinds_of(step) for step in steps]
        case Feature(how=Share(of)):
            needed = [kinds_of(of), kinds_of(declaration.where)]
        case Feature(how=IsLater(than)):
            needed = [kinds_of(than), kinds_of(declaration.where)]
        case _:
            needed = [kinds_of(declaration.where)]
    named = dict.fromkeys(kind for each in needed for kind in each)
    return ", ".join([*named, *([] if all(needed) else ["all"])]) if named else "all"


def _unknown(by: Slot | Group) -> str:
    if isinstance(by, Group):
        return f"{_listed(by)} not all given, or none like it before"
    return f"{ENTITIES[by]} not given or without history"


def _column(how: Aggregate) -> tuple[str, str]:
    """Words for the column that an aggregate follows, if it does."""
    column: Column | None = getattr(how, "column", None)
    return ("", "") if column is None else COLUMNS[column]


def value(number: float, unit: str) -> str:
    """A value in its unit, as people read it: `12,500.00 som`, `3.5 hours`, `12%`, `7`; `missing` for NaN."""
    if math.isnan(number):
        return "missing"
    match unit:
        case "tyiyn":
            return f"{number / 100:,.2f} som"
        case "s":
            return _duration(number)
        case "share":
            return f"{100 * number:.3g}%"
        case "code":
            return list(KINDS.values())[int(number)][0]
    figure = f"{number:,.0f}" if number.is_integer() or abs(number) >= 1000 else f"{number:.3g}"
    return f"{figure} {unit}" if unit in SHOWN_UNITS else figure


def _duration(seconds: float) -> str:
    for span, name in ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")):
        if seconds * SECOND >= 2 * span:
            return f"{seconds * SECOND / span:,.3g} {name}"
    return f"{seconds:,.0f} s"


# ---- its parts -------------------------------------------------------------------------------------------------------


def arrivals(where: Where, by: Slot | Group, plural: bool = True) -> str:
    """Which arrivals of whom: `operations marked *new device* that the customer sent`."""
    if where == ANY:
        return f"arrivals of any kind of {entity(by)}"
    noun = _noun(where.needs, plural)
    words = [noun, *_marks(where), _doing(where.needs, by), *_traits(where)]
    return " ".join(word for word in words if word)


def narrower(where: Where) -> str:
    """What a share is of: `through a VPN or proxy`, `top-ups`, `marked *large*`, `known as fraud`."""
    nouns = [plural for fact, (_, plural) in {**EVENTS, **KINDS}.items() if fact in where.needs]
    known = [words.removeprefix("that became ") for fact, words in KNOWN.items() if fact in where.needs]
    return " and ".join([*nouns, *known, *_marks(where), *_traits(where)])


def entity(by: Slot | Group) -> str:
    """`the customer`; a group is told by what its operations share."""
    return f"operations with the same {_listed(by)}" if isinstance(by, Group) else f"the {ENTITIES[by]}"


def kinds_of(where: Where) -> list[str]:
    """The kinds that a filter needs."""
    return [plural for kind, (_, plural) in KINDS.items() if kind in where.needs]


def mark(mark: Mark) -> str:
    """When an operation is marked."""
    return f"{meaning(mark.feature)}: above {mark.above:g} as the operation arrived (`{mark.feature.name}`)"


def group(group: Group) -> str:
    """Which operations are alike."""
    return f"operations with the same {_listed(group)}"


def length(span: int) -> str:
    """`10 minutes`, `hour`, `30 days`: after `in the last`."""
    return _number_of(span).removeprefix("1 ")


def _number_of(span: int) -> str:
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second")):
        if span % unit == 0:
            return f"{span // unit} {name}{'s' if span != unit else ''}"
    return f"{span} ms"


def _within(span: int) -> str:
    return ", as far back as is retained" if span == RETAINED else f" in the last {length(span)}"


def an(noun: str) -> str:
    """With its article."""
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def _listed(group: Group) -> str:
    *names, last = [COLUMNS[column][0] for column in group.columns]
    return f"{', '.join(names)} and {last}"


def _noun(needs: Fact, plural: bool) -> str:
    found = next((words for fact, words in {**EVENTS, **KINDS}.items() if fact in needs), ("operation", "operations"))
    return found[plural]


def _doing(needs: Fact, by: Slot | Group) -> str:
    """What the entity has to do with it, and what became known of it."""
    known = [words for fact, words in KNOWN.items() if fact in needs]
    if any(event in needs for event in EVENTS):
        doing = BY_WAY_OF.get(by, f"of {entity(by)}") if isinstance(by, Slot) else f"of {entity(by)}"
    elif isinstance(by, Group):
        doing = f"with the same {_listed(by)}"
    elif Fact.RECEIVING in needs:
        doing = f"that {entity(by)} received"
    elif by in BY_WAY_OF:
        doing = f"made {BY_WAY_OF[by]}"
    elif Fact.SENDING in needs:
        doing = f"that {entity(by)} {'made' if any(kind in needs for kind in KINDS) else 'sent'}"
    else:
        doing = f"of {entity(by)}"
    return " and ".join([doing, *known])


def _traits(where: Where) -> list[str]:
    return [words for fact, words in TRAITS.items() if fact in where.needs] + [
        f"not {words}" for fact, words in (TRAITS | {kind: plural for kind, (_, plural) in KINDS.items()}).items()
        if fact in where.excludes
    ]  # fmt: skip


def _marks(where: Where) -> list[str]:
    return [f"marked *{each.name.replace('_', ' ')}*" for each in where.marks] + [
        f"not marked *{each.name.replace('_', ' ')}*" for each in where.unmarked
    ]


assert OWN_MEANINGS.keys() == OWN_VALUES.keys(), "every own value has a meaning"
