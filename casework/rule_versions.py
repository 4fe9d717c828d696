"""Rules as they were saved: every saving stays, with who, when and why. Two who edit at once: one wins, the other is told."""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, func, insert, select

from casework.audit_log import record_change
from casework.database import Database, timestamp
from casework.tables import RULE_VERSIONS
from domain.errors import ConflictError, RuleError, UnknownRuleError
from domain.rule_text import parsed, written
from domain.rules import Rule, State

_V = RULE_VERSIONS.c
_WHOLE = select(_V.content, _V.saved_at, _V.saved_by, _V.reason)


class Saved(Struct, frozen=True):
    """One saving of a rule; the rule says its version. Its state is draft, or off when this saving turned it off."""

    rule: Rule
    saved_at: str
    saved_by: str
    reason: str


def save(database: Database, rule: Rule, person: str, reason: str) -> int:
    """Keep a rule that was edited from `rule.version` (0: a new one); its new version.

    ConflictError names who saved it meanwhile and when; nothing is lost: what is kept and what was sent can be compared. The same
    rule saved again by the same person is the version that it is.
    """
    with database.transaction() as connection:
        before = latest(connection, rule.id)
        if (kept := _repeated(before, rule, person)) is not None:
            return kept
        _check_edited_from(before, rule)
        was = None if before is None else written([before.rule])
        record_change(connection, person, reason, f"rules: save {rule.id} {rule.version + 1}", was, written([_kept(rule)]))
        return _add(connection, rule, person, reason)


def _repeated(before: Saved | None, rule: Rule, person: str) -> int | None:
    if before is None or before.rule.version != rule.version + 1 or before.saved_by != person:
        return None
    return before.rule.version if before.rule == _kept(rule) else None


def _check_edited_from(before: Saved | None, rule: Rule) -> None:
    is_at = 0 if before is None else before.rule.version
    if rule.version == is_at:
        return
    if before is None:
        raise ConflictError(f"rule {rule.id} is not saved yet; seen version {rule.version}, allowed 0: a new rule")
    raise ConflictError(
        f"rule {rule.id} is at version {is_at}, saved by {before.saved_by} at {before.saved_at} ({before.reason}); you edited version "
        f"{rule.version}: look at what changed (`burana rules history {rule.id}`) and save upon version {is_at}"
    )


def adopt(connection: Connection, rules: Iterable[Rule], person: str, reason: str) -> list[Rule]:
    """The rules of a set with their versions; what differs from the last saving, but for its state, is saved."""
    return [replace(rule, version=_adopted(connection, rule, person, reason)) for rule in rules]


def _adopted(connection: Connection, rule: Rule, person: str, reason: str) -> int:
    before = latest(connection, rule.id)
    is_at = 0 if before is None else before.rule.version
    if before is not None and before.rule == replace(rule, state=State.DRAFT, version=is_at):
        return is_at
    return _add(connection, replace(rule, version=is_at), person, reason)


def turn_off(connection: Connection, rule_ids: Iterable[str], person: str, reason: str) -> None:
    """Keep that rules run no more."""
    for rule_id in rule_ids:
        if (before := latest(connection, rule_id)) is not None:
            _add(connection, replace(before.rule, state=State.OFF), person, reason)


def of(database: Database, rule_id: str, version: int | None = None) -> Saved:
    """A saving of a rule, by default the last; UnknownRuleError where there is none."""
    query = _WHOLE.where(_V.rule_id == rule_id)
    chosen = query.order_by(_V.version.desc()).limit(1) if version is None else query.where(_V.version == version)
    with database.reading() as connection:
        row = connection.execute(chosen).first()
    if row is None:
        named = rule_id if version is None else f"{rule_id}, version {version}"
        raise UnknownRuleError(f"no rule {named} is saved; `burana rules list` shows those that are")
    return _saved(*row)


def history(database: Database, rule_id: str) -> list[Saved]:
    """Every saving of a rule, the first one first; UnknownRuleError where there is none."""
    of(database, rule_id)
    with database.reading() as connection:
        return [_saved(*row) for row in connection.execute(_WHOLE.where(_V.rule_id == rule_id).order_by(_V.version))]


def last_of_each(database: Database) -> list[Saved]:
    """The last saving of every rule, by id."""
    last = select(_V.rule_id, func.max(_V.version).label("version")).group_by(_V.rule_id).subquery()
    query = _WHOLE.join(last, (last.c.rule_id == _V.rule_id) & (last.c.version == _V.version)).order_by(_V.rule_id)
    with database.reading() as connection:
        return [_saved(*row) for row in connection.execute(query)]


def latest(connection: Connection, rule_id: str) -> Saved | None:
    """The last saving of a rule, None before the first."""
    row = connection.execute(_WHOLE.where(_V.rule_id == rule_id).order_by(_V.version.desc()).limit(1)).first()
    return None if row is None else _saved(*row)


def _add(connection: Connection, rule: Rule, person: str, reason: str) -> int:
    kept = _kept(rule)
    row = {"rule_id": rule.id, "version": kept.version, "content": written([kept]), "saved_at": timestamp(), "saved_by": person,
           "reason": reason}  # fmt: skip
    connection.execute(insert(RULE_VERSIONS).values(row))
    return kept.version


def _kept(rule: Rule) -> Rule:
    """As the next saving: whether it runs is said by the sets alone. RuleError for a template whose expression is not made yet."""
    if not rule.expression:
        raise RuleError(f"rule {rule.id} has no expression: what is kept says in full when it fires")
    return replace(rule, state=State.OFF if rule.state is State.OFF else State.DRAFT, version=rule.version + 1)


def _saved(content: str, saved_at: str, saved_by: str, reason: str) -> Saved:
    return Saved(parsed(content)[0], saved_at, saved_by, reason)
