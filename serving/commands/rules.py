"""Rules: check, save, count in shadow, propose, turn off, roll back; what acts changes only when another person approves."""

import argparse
from pathlib import Path
from typing import Any

import msgspec

from casework import database as databases
from casework import rule_life, rule_sets, rule_versions
from casework.database import Database
from casework.keys import Scope
from domain.errors import RuleError
from domain.json_file import add_json, file_to_write, write_json
from domain.rule_text import written
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.plan import Plan
from serving import place
from serving.acting_person import add_key, person_of
from serving.commands import rule_backtest, rule_coverage, rule_shadow, rule_test
from serving.commands.lines import columns, in_line
from serving.rule_desk import Desk, one, pack, packs, sound
from serving.rule_vocabulary import as_data, vocabulary

NEXT = "another person: burana proposals approve {}"
TRIALS = {"test": rule_test, "backtest": rule_backtest, "shadow-report": rule_shadow, "coverage": rule_coverage}
"""Actions that show what rules do and did, a module each; none changes anything."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    home = argparse.ArgumentParser(add_help=False)
    place.add_home(home)
    told = argparse.ArgumentParser(add_help=False, parents=[home])
    add_json(told, "write what is told as JSON")
    actions = parser.add_subparsers(dest="action", required=True)
    _add_looking(actions, told)
    for name, help_ in (("load", "make a set the first one"), ("save", "keep a rule that was edited, as a draft")):
        action = actions.add_parser(name, parents=[told], help=help_)
        action.add_argument("file", type=Path, help="rules in TOML")
        _add_person(action)
    shadow = actions.add_parser("shadow", parents=[told], help="let a saved rule run and be counted")
    _add_version(shadow)
    _add_person(shadow)
    shipped = actions.add_parser("pack", parents=[told], help="let every rule of a pack that we ship run and be counted")
    shipped.add_argument("pack", choices=packs())
    _add_person(shipped)
    _add_proposing(actions, told)
    for name, module in TRIALS.items():
        text = (module.__doc__ or "").strip()
        module.add_arguments(actions.add_parser(name, parents=[home], help=text[0].lower() + text[1:], description=text))


def _add_looking(actions: Any, told: argparse.ArgumentParser) -> None:
    actions.add_parser("check", parents=[told], help="check the types of a set").add_argument(
        "file", type=Path, help="rules in TOML"
    )
    actions.add_parser("list", parents=[told], help="every rule: its state and the versions that run")
    show = actions.add_parser("show", parents=[told], help="the set in force, or a rule as it was saved")
    show.add_argument("rule", nargs="?")
    show.add_argument("--version", type=int, help="default: the last")
    actions.add_parser(
        "history", parents=[told], help="the sets that were in force, or every saving of a rule"
    ).add_argument("rule", nargs="?")
    words = actions.add_parser("vocabulary", parents=[told], help="what a rule may name")
    words.add_argument("--out", type=file_to_write, metavar="FILE", help="write the page as Markdown")


def _add_proposing(actions: Any, told: argparse.ArgumentParser) -> None:
    propose = actions.add_parser("propose", parents=[told], help="propose that a saved rule acts")
    _add_version(propose)
    whole = actions.add_parser("propose-set", parents=[told], help="propose a whole set in place of the one in force")
    whole.add_argument("file", type=Path, help="rules in TOML")
    off = actions.add_parser("off", parents=[told], help="take a rule out of shadow, or propose that it acts no more")
    off.add_argument("rule")
    back = actions.add_parser("rollback", parents=[told], help="propose a former set")
    back.add_argument("set", help="its version, as `history` names it")
    for action in (propose, whole, off, back):
        action.add_argument("--reason", required=True, help="why (R111)")
        add_key(action)


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rule")
    parser.add_argument("--version", type=int, required=True, help="which saving of it")


def _add_person(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--by", required=True, help="the responsible person (R109)")
    parser.add_argument("--reason", required=True, help="why (R111)")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; a running server follows within a second."""
    if (trial := TRIALS.get(arguments.action)) is not None:
        return int(trial.run(arguments))
    features = FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS))
    if arguments.action == "check":
        count = len(sound(_content(arguments.file), features.names))
        return _told(arguments, [f"{count} {'rule is' if count == 1 else 'rules are'} well typed"], {"rules": count})
    if arguments.action == "vocabulary":
        return _vocabulary(arguments, features)
    with databases.existing(place.database_of(arguments)) as database:
        if arguments.action in _LOOKING:
            return _told(arguments, *_LOOKING[arguments.action](database, arguments))
        desk = Desk(database, features.names)
        if arguments.action in _DOING:
            return _told(arguments, *_DOING[arguments.action](desk, arguments))
        return _proposed(desk, arguments, person_of(database, arguments, Scope.RULES))


def _told(arguments: argparse.Namespace, lines: list[str], data: Any) -> int:
    print("\n".join(lines))
    write_json(arguments.json, data)
    return 0


def _vocabulary(arguments: argparse.Namespace, features: FeatureSet) -> int:
    page = vocabulary(features.entries)
    if arguments.out:
        arguments.out.write_text(page, encoding="utf-8")
    return _told(arguments, [f"written to {arguments.out}" if arguments.out else page], as_data(features.entries))


# ---- what is looked at -----------------------------------------------------------------------------------------------


def _list(database: Database, _: argparse.Namespace) -> tuple[list[str], Any]:
    standings = rule_life.standings(database)
    lines = [
        f"{standing.saved.rule.id:40} {standing.state:7} {_runs(standing):22} {standing.saved.rule.criterion:4} {standing.saved.rule.level:7}"
        f" saved {standing.saved.rule.version} by {in_line(standing.saved.saved_by)} at {standing.saved.saved_at}"
        for standing in standings
    ]
    return lines, [{"state": standing.state, **msgspec.to_builtins(standing)} for standing in standings]


def _runs(standing: rule_life.Standing) -> str:
    parts = (("live", standing.live), ("shadow", standing.shadow))
    return ", ".join(f"{name} {version}" for name, version in parts if version is not None)


def _show(database: Database, arguments: argparse.Namespace) -> tuple[list[str], Any]:
    if arguments.rule is not None:
        saved = rule_versions.of(database, arguments.rule, arguments.version)
        return [in_line(f"# saved by {saved.saved_by} at {saved.saved_at}: {saved.reason}"), written([saved.rule])], saved
    if (current := rule_sets.live(database)) is None:
        raise RuleError("no set is loaded yet; the server loads its starter set when it first starts")
    head = f"# rules-{current.version}, in force since {current.loaded_at}, by {current.loaded_by}: {current.reason}"
    return [in_line(head), written(current.rules)], {"version": current.version, "rules": current.rules}


def _history(database: Database, arguments: argparse.Namespace) -> tuple[list[str], Any]:
    if arguments.rule is not None:
        savings = rule_versions.history(database, arguments.rule)
        return [
            columns(one.rule.version, one.saved_at, one.saved_by, one.reason, one.rule.expression) for one in savings
        ], savings
    sets = rule_sets.history(database)
    return [columns(one.version, one.loaded_at, one.loaded_by, one.reason) for one in sets], sets


# ---- what one person does, and what two do ---------------------------------------------------------------------------


def _load(desk: Desk, arguments: argparse.Namespace) -> tuple[list[str], Any]:
    policy = desk.load(_content(arguments.file), arguments.by, arguments.reason)
    return [policy], {"policy": policy}


def _save(desk: Desk, arguments: argparse.Namespace) -> tuple[list[str], Any]:
    rule = one(_content(arguments.file))
    version = desk.save(rule, arguments.by, arguments.reason)
    return [f"{rule.id}, version {version}"], {"rule": rule.id, "version": version}


def _shadow(desk: Desk, arguments: argparse.Namespace) -> tuple[list[str], Any]:
    policy = desk.shadow(arguments.rule, arguments.version, arguments.by, arguments.reason)
    return [policy], {"policy": policy}


def _pack(desk: Desk, arguments: argparse.Namespace) -> tuple[list[str], Any]:
    policy = desk.shadow_pack(arguments.pack, arguments.by, arguments.reason)
    about = [line for line in pack(arguments.pack).splitlines() if line.startswith("#")]
    return [*about, policy], {"policy": policy}


def _proposed(desk: Desk, arguments: argparse.Namespace, person: str) -> int:
    policy = None
    match arguments.action:
        case "propose":
            made: int | None = desk.propose(arguments.rule, arguments.version, person, arguments.reason)
        case "propose-set":
            made = desk.propose_set(_content(arguments.file), person, arguments.reason)
        case "rollback":
            made = desk.roll_back(arguments.set, person, arguments.reason)
        case _:
            policy, made = desk.off(arguments.rule, person, arguments.reason)
    lines = [policy] if policy else [f"proposal {made}", NEXT.format(made)]
    return _told(arguments, lines, {"policy": policy, "proposal_id": made})


_LOOKING = {"list": _list, "show": _show, "history": _history}
_DOING = {"load": _load, "save": _save, "shadow": _shadow, "pack": _pack}


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(f"{file} cannot be read: {error}") from error
