"""The vocabulary of rules as a page: what an expression and a template may name, made of the domain and the catalogue of features."""

from domain.criteria import FraudCriterion, Scheme
from domain.operation import Kind
from features.catalogue import Entry
from serving.rule_language import FUNCTIONS, OPERATION_VARIABLES

COMMAND = "burana rules vocabulary --out serving/VOCABULARY.md"
HEAD = f"""\
# Vocabulary of rules

Written by `{COMMAND}` from the code; a test fails when it is older than that.

A rule is a CEL expression that is true when it fires. It is asked before the operation itself has arrived, so it sees the past
alone. Types are checked when a rule is saved: a feature and `score` are numbers with a point (`10.0`), `amount_tyiyn` is whole
(`1000000`, 1 som = 100 tyiyn); `double(amount_tyiyn)` makes them comparable. `$name` stands for a parameter of the rule, typed by how
it is written: `5` is whole, `5.0` is not.

What is missing (a feature without history, or not given) compares false in every comparison but `!=`: write novelty as `!= 0.0`
where a customer without history is to be met too, `== 1.0` where not. A rule that fails at run time, or whose features cannot be read,
sends the operation to verification with the rule's name.
"""
MEANINGS = {
    "kind": "kind of the operation, see below; better named in the rule's `kinds`",
    "amount_tyiyn": "amount in tyiyn, other currencies at the fixed reference rates",
    "currency": "ISO 4217 code of the amount as it was given",
    "category": "merchant category code (ISO 18245), empty if not given",
    "recipient_country": "country of the recipient, ISO 3166, empty if not given",
    "device_country": "country of the device's address, empty if not given",
    "vpn": "the device is behind a VPN or proxy; false if not given",
    "agent": "made through an agent",
    "employee": "made by an employee",
    "score": "fraud probability by the model, 0.0 to 1.0; -1.0 without a model",
    "registry": "the lists that the operation's identifiers are on: `prohibited`, `watched`",
    "listed": "the parts of the operation that are on a list: `sender`, `recipient`, `device`, `access`, `funding`",
}
TEMPLATE = """\
A template says in place of an expression which `steps` went before, in order, and what the operation is `now`. A step: `who`
(customer, sender, recipient, device, address, agent, employee; customer if left out) `did` what (`login_failed`, `contact_changed`,
`device_enrolled`, `received`, `sent`, `cashed` ...) `within` a time (`10m`, `1h`, `1d`), and of these what is needed: `times`; `different =
"customer"` (so many different ones); `tyiyn` (their sum at least); `gone = 3` (of a declared sequence such as `takeover`, so many steps in
exact order); `any_order = true`. A step becomes one of the features below, named `WHO_DID_..._WITHIN`; what none of them says is
refused. `now`: `from_tyiyn`, `new = ["recipient", "device"]`, `again_within` (to a recipient who was paid within this time before),
`times_usual`, `percent_of_received` with `received_within`, `vpn`, `foreign`, `other_institution`.
"""


def vocabulary(entries: list[Entry]) -> str:
    """The page, as Markdown, over the features of a catalogue."""
    parts = [
        HEAD,
        "## The operation",
        "",
        "| name | type | meaning |",
        "|---|---|---|",
        *_operation(),
        "",
        "## What may be done",
        "",
    ]
    parts += [
        ", ".join(f"`{written}`" for written in ("+", *FUNCTIONS))
        + ". No loops, no patterns, nothing that joins texts or lists.",
        "",
    ]
    parts += ["## Kinds, criteria, schemes", "", "Kinds: " + ", ".join(f"`{kind}`" for kind in Kind) + ".", ""]
    parts += [*(f"- `{criterion}` {criterion.words}" for criterion in FraudCriterion), ""]
    parts += ["Schemes: " + ", ".join(f"`{scheme}`" for scheme in Scheme) + ".", "", "## Templates", "", TEMPLATE]
    parts += ["## Features", "", "Windows, what is missing and kinds: `features/CATALOGUE.md`.", ""]
    return "\n".join([*parts, "| name | criterion | meaning | unit |", "|---|---|---|---|", *map(_feature, entries), ""])


def as_data(entries: list[Entry]) -> dict[str, object]:
    """The same for programs: the name, type or unit, and meaning of everything that a rule may name."""
    operation = [
        {"name": name, "type": kind.name(), "meaning": MEANINGS[name]} for name, kind in OPERATION_VARIABLES.items()
    ]
    features = [
        {"name": entry.name, "type": "DOUBLE", "meaning": entry.meaning, "unit": entry.unit, "criterion": entry.serves}
        for entry in entries
    ]
    return {
        "operation": operation,
        "functions": ["+", *FUNCTIONS],
        "kinds": list(Kind),
        "schemes": list(Scheme),
        "features": features,
    }


def _operation() -> list[str]:
    return [f"| `{name}` | {kind.name().lower()} | {MEANINGS[name]} |" for name, kind in OPERATION_VARIABLES.items()]


def _feature(entry: Entry) -> str:
    return f"| `{entry.name}` | {entry.serves} | {entry.meaning} | {entry.unit} |"
