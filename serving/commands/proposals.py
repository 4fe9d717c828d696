"""What was proposed and waits for a second person: list, show, approve, refuse."""

import argparse
import json
from collections.abc import Iterator
from textwrap import indent

from msgspec import to_builtins

from casework import approvals, proposals
from casework import database as databases
from casework.keys import Scope
from casework.proposals import Proposal, Ruling
from domain.errors import UnknownProposalError
from serving import place
from serving.acting_person import add_key, person_of
from serving.commands.lines import columns, in_lines

VERDICTS = {"approve": Ruling.APPROVED, "refuse": Ruling.REFUSED}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    home = argparse.ArgumentParser(add_help=False)
    place.add_home(home)
    actions = parser.add_subparsers(dest="action", required=True)
    listed = actions.add_parser("list", parents=[home], help="what waits, the oldest first")
    listed.add_argument("--kind", choices=approvals.NAMES)
    actions.add_parser("show", parents=[home], help="all of it").add_argument("proposal_id", type=int)
    for action in VERDICTS:
        decide = actions.add_parser(action, parents=[home], help="by another person than who proposed it")
        decide.add_argument("proposal_id", type=int)
        decide.add_argument("--reason", required=True, help="why (R111)")
        add_key(decide)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked."""
    with databases.existing(place.database_of(arguments)) as database:
        if arguments.action == "list":
            for one in proposals.open_proposals(database, arguments.kind):
                print(columns(one.proposal_id, one.kind, one.proposed_at, one.proposed_by, one.proposed_reason))
        elif arguments.action == "show":
            if (found := proposals.of_id(database, arguments.proposal_id)) is None:
                raise UnknownProposalError(f"there is no proposal {arguments.proposal_id}")
            print("\n\n".join(map(in_lines, _shown(found))))
        else:
            person, verdict = person_of(database, arguments, Scope.APPROVE), VERDICTS[arguments.action]
            approvals.decide(database, arguments.proposal_id, verdict, person, arguments.reason)
            print(f"proposal {arguments.proposal_id} is {verdict}")
    return 0


def _shown(proposal: Proposal) -> Iterator[str]:
    """A proposal as JSON, and behind it each of its texts that has lines, such as rules in TOML: who decides has to read them."""
    told = to_builtins(proposal)
    content = told["content"]
    texts = {name: text for name, text in content.items() if isinstance(text, str) and "\n" in text}
    told["content"] = {name: value for name, value in content.items() if name not in texts}
    yield json.dumps(told, ensure_ascii=False, indent=2)
    for name, text in texts.items():
        yield f"{name}:\n{indent(text.rstrip(), '    ', lambda _: True)}"  # so that no line of it passes for a heading
