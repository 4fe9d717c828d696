"""Rule sets: every set that ever applied, who loaded it and why; the last one is in force.

A set has two parts. What is live acts, and changes only by a proposal that another person approved: the database holds that
(`casework/migrations`). What is in shadow is only counted, and one person may change it. A set is never changed: its version is a hash of
its content, and decisions name it.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, insert, select

from casework import rule_versions
from casework.audit_log import record_change
from casework.audit_rows import ROWS, kept
from casework.database import Database, timestamp
from casework.proposals import Proposal, proposed, undecided
from casework.tables import RULE_SETS
from domain.errors import ConflictError, RuleError
from domain.operation import Kind
from domain.rule_text import in_shadow, parsed, written
from domain.rules import Rule, State

KIND = "rule_set"
"""The kind of proposals about rules."""
BURANA = "burana"
"""Who loads the starter set; no person."""
MOST_CHARACTERS = 80_000
"""Of the expressions that one kind of operation is asked."""
_S = RULE_SETS.c
_WHOLE = select(_S.rule_set_id, _S.version, _S.content, _S.shadow, _S.loaded_at, _S.loaded_by, _S.reason)


class RuleSet(Struct, frozen=True):
    """A stored set: its version (hash of the content), the live part and the part in shadow, TOML; loaded when, by whom, why."""

    rule_set_id: int
    version: str
    content: str
    shadow: str = ""
    loaded_at: str = ""
    loaded_by: str = ""
    reason: str = ""

    @property
    def live_rules(self) -> list[Rule]:
        """The rules of the part that somebody approved; those of them that are live act."""
        return parsed(self.content)

    @property
    def shadow_rules(self) -> list[Rule]:
        """The rules that are only counted, whatever they say of themselves."""
        return in_shadow(self.shadow)

    @property
    def rules(self) -> list[Rule]:
        """All of them."""
        return self.live_rules + self.shadow_rules


def load(database: Database, content: str, person: str, reason: str) -> str:
    """Make a checked set the first one that a person loads; its version. RuleError where one is in force already: propose it then."""
    with database.transaction() as connection:
        former = _last(connection) if person == BURANA else _first_by_a_person(connection)
        if former is not None:
            raise RuleError(
                f"rules are in force since {former.loaded_at}, loaded by {former.loaded_by}: what acts changes only with a second "
                "person, `burana rules propose-set` it"
            )
        live, shadow = _parted(connection, content, person, reason)
        return _insert(connection, live, shadow, person, reason).version


def propose(database: Database, content: str, person: str, reason: str) -> int:
    """Propose a checked set in place of the one in force; the proposal's id."""
    with database.transaction() as connection:
        live, shadow = _parted(connection, content, person, reason)
        return proposed_set(connection, live, shadow, person, reason)


def proposed_set(connection: Connection, live: str, shadow: str | None, person: str, reason: str) -> int:
    """Propose what is to be live, and what is to be in shadow: None for what is in shadow when it is approved.

    ConflictError where the same is proposed already: of two, only the first that is approved could come into force.
    """
    before = in_force(connection)
    _check_size([*parsed(live), *in_shadow(before.shadow if shadow is None else shadow)])
    for one in undecided(connection, KIND):
        if (one.content["live"], one.content["shadow"], one.content["instead_of"]) == (live, shadow, before.version):
            raise ConflictError(f"proposal {one.proposal_id} of {one.proposed_by} says the same and is open")
    content = {"live": live, "shadow": shadow, "instead_of": before.version, **_compared(before, live)}
    return proposed(connection, KIND, content, person, reason)


def apply(connection: Connection, proposal: Proposal, change: int) -> None:  # noqa: ARG001 the kind's function gets it
    """Put an approved proposal in force.

    ConflictError when what acts was changed after it was made, or, of one that says what is in shadow too, that: what was compared is no more.
    """
    now, live, shadow = in_force(connection), proposal.content["live"], proposal.content["shadow"]
    compared = _of_version(connection, proposal.content["instead_of"])
    is_same_live = compared is not None and compared.content == now.content
    if not is_same_live or (shadow is not None and compared is not None and compared.shadow != now.shadow):
        part = "in shadow" if is_same_live else "live"
        raise ConflictError(
            f"proposal {proposal.proposal_id} was made upon rules-{proposal.content['instead_of']}, and {now.loaded_by} changed what is {part} at "
            f"{now.loaded_at} ({now.reason}): propose it again upon rules-{now.version}"
        )
    if shadow is None:
        promoted = {(rule.id, rule.version) for rule in parsed(live)}
        shadow = written(rule for rule in now.shadow_rules if (rule.id, rule.version) not in promoted)
    _insert(connection, live, shadow, proposal.proposed_by, proposal.proposed_reason, proposal)


def put_in_shadow(connection: Connection, shadow: str, person: str, reason: str) -> RuleSet:
    """Change what is only counted; the set that is in force from now on."""
    return _insert(connection, in_force(connection).content, shadow, person, reason)


def live(database: Database) -> RuleSet | None:
    """The set that is in force, or None."""
    with database.reading() as connection:
        return _last(connection)


def in_force(connection: Connection) -> RuleSet:
    """The set that is in force; RuleError before the first."""
    if (found := _last(connection)) is None:
        raise RuleError("no set is loaded yet; the server loads its starter set when it first starts")
    return found


def of_version(database: Database, version: str) -> RuleSet | None:
    """The set of a version, or None."""
    with database.reading() as connection:
        return _of_version(connection, version)


def history(database: Database, limit: int = 100) -> list[RuleSet]:
    """The sets that were in force, the last one first."""
    with database.reading() as connection:
        return [RuleSet(*row) for row in connection.execute(_WHOLE.order_by(_S.rule_set_id.desc()).limit(limit))]


def _parted(connection: Connection, content: str, person: str, reason: str) -> tuple[str, str]:
    """The live part and the part in shadow of a set that somebody wrote; its rules are saved."""
    rules = rule_versions.adopt(connection, parsed(content), person, reason)
    return _written_of(rules, State.LIVE), _written_of(rules, State.SHADOW)


def _written_of(rules: list[Rule], state: State) -> str:
    return written(rule for rule in rules if rule.state is state)


def _insert(
    connection: Connection, live: str, shadow: str, person: str, reason: str, proposal: Proposal | None = None
) -> RuleSet:
    _check_size([*parsed(live), *in_shadow(shadow)])
    before, sha256 = _last(connection), _sha256(live, shadow)
    version, approved_by = sha256[:12], None if proposal is None else proposal.decided_by
    was = None if before is None else _told(before.content, before.shadow)
    row: dict[str, Any] = {"version": version, "content": live, "shadow": shadow, "loaded_at": timestamp(), "loaded_by": person,
                           "reason": reason, "proposal_id": None if proposal is None else proposal.proposal_id}  # fmt: skip
    made = RuleSet(
        connection.execute(insert(RULE_SETS).values(row).returning(_S.rule_set_id)).scalar_one(), version, live, shadow
    )
    after = {**_told(live, shadow), ROWS: kept(connection, RULE_SETS, _S.rule_set_id == made.rule_set_id)}
    record_change(connection, person, reason, f"rules: {version} in force", was, after, approved_by)
    if before is not None:
        left = {rule.id for rule in made.rules}
        gone = [id_ for id_ in dict.fromkeys(rule.id for rule in before.rules) if id_ not in left]
        rule_versions.turn_off(connection, gone, person, reason)
    return made


def _check_size(rules: list[Rule]) -> None:
    """What one kind of operation is asked is one program, of 100,000 characters at most; parameters take some of them."""
    for kind in Kind:
        size = sum(len(rule.expression) for rule in rules if kind in rule.kinds)
        if size > MOST_CHARACTERS:
            raise RuleError(
                f"the rules asked of {kind} have {size} characters, allowed {MOST_CHARACTERS}: name the kinds that each is asked of, or turn some off"
            )


def _told(live: str, shadow: str) -> dict[str, Any]:
    """What the audit log says of a set: which rules run, by id and version; its content is in `rule_sets`, the whole hash says that it is this one."""
    sha256 = _sha256(live, shadow)
    return {"version": sha256[:12], "sha256": sha256, "live": _names(parsed(live)), "shadow": _names(in_shadow(shadow))}


def _sha256(live: str, shadow: str) -> str:
    """Of both parts; a zero byte parts them, which TOML cannot hold: no rule moves from one to the other under the same version."""
    return hashlib.sha256(f"{live}\0{shadow}".encode()).hexdigest()


def _names(rules: Iterable[Rule]) -> list[str]:
    return sorted(f"{rule.id} {rule.version}" for rule in rules)


def _compared(before: RuleSet, live: str) -> dict[str, list[str]]:
    """What would be live that is not, and what would no longer be: for who decides."""
    was, will = set(_names(before.live_rules)), set(_names(parsed(live)))
    return {"comes": sorted(will - was), "goes": sorted(was - will)}


def _first_by_a_person(connection: Connection) -> RuleSet | None:
    row = connection.execute(_WHOLE.where(_S.loaded_by != BURANA).order_by(_S.rule_set_id).limit(1)).first()
    return None if row is None else RuleSet(*row)


def _last(connection: Connection) -> RuleSet | None:
    row = connection.execute(_WHOLE.order_by(_S.rule_set_id.desc()).limit(1)).first()
    return None if row is None else RuleSet(*row)


def _of_version(connection: Connection, version: str) -> RuleSet | None:
    row = connection.execute(_WHOLE.where(_S.version == version).order_by(_S.rule_set_id.desc()).limit(1)).first()
    return None if row is None else RuleSet(*row)
