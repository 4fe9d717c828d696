"""The one command: what it lists, how soon, and what it says where something is missing."""

import importlib.metadata
import json
import subprocess
import sys

import pytest

from casework.audit_form import ChangeKind
from casework.keys import Scope
from domain.identifiers import IdentifierKind
from domain.listing import TO_LIST_ON, List
from serving import cli
from tests.serving.running import REPOSITORY

COMMANDS = {
    "audit", "backfill", "challengers", "demo", "drift", "evaluate", "explain", "export", "features", "import", "keys", "promote",
    "proposals", "registry", "replay", "rules", "serve", "simulate", "snapshot", "train",
}  # fmt: skip
OF_TRAINING = {"demo", "evaluate", "import", "promote", "simulate", "train"}
PROGRAM = "import json, sys; from serving import cli; cli.main(['--help']); print(json.dumps(sorted(sys.modules)))"


def listed(said: str) -> dict[str, str]:
    """What the overview says of each command."""
    lines = (line.split(maxsplit=1) for line in said.splitlines()[2:])
    return dict(lines)


def test_help_says_what_every_command_does_and_imports_none_of_them():
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60)
    overview, modules = done.stdout.rstrip().rsplit("\n", 1)
    assert listed(overview).keys() == COMMANDS
    assert all(text.endswith(".") for text in listed(overview).values())
    assert not {"onnxruntime", "pandas", "training.train_command", "serving.commands.serve"} & set(json.loads(modules))


def test_without_the_training_stack_its_commands_say_so_and_the_others_are_there(monkeypatch, capsys):
    version = importlib.metadata.version

    def of_serving(name: str) -> str:
        if name == "lightgbm":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", of_serving)
    missing = "not installed here (lightgbm is missing; install burana[training])"
    assert cli.main(["--help"]) == 0
    told = listed(capsys.readouterr().out)
    assert {name for name, text in told.items() if text == missing} == OF_TRAINING
    assert cli.main(["train", "--help"]) == 2
    assert capsys.readouterr().err == f"burana train: {missing}\n"
    with pytest.raises(SystemExit, match="0"):
        cli.main(["keys", "--help"])


def test_an_unknown_command_is_told_the_known_ones(capsys):
    assert cli.main(["fly"]) == 2
    assert capsys.readouterr().err.startswith("burana: no command 'fly'; allowed: audit, backfill")


@pytest.mark.parametrize(("arguments", "words"), [
    (("registry", "list", "--kind", "telefon"), IdentifierKind), (("registry", "list", "--list", "black"), List),
    (("keys", "make", "--caller", "a", "--by", "b", "--scope", "all"), Scope), (("audit", "list", "--kind", "rule"), ChangeKind),
    (("registry", "feed", "propose", "black", "--caller", "c", "--list", "prohibited", "--ground", "not_kept"), TO_LIST_ON),
])  # fmt: skip
def test_a_word_that_is_not_on_the_list_is_refused_with_those_that_are(arguments, words, capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main([*arguments])
    assert f"seen {arguments[-1]!r}, allowed {', '.join(words)}\n" in capsys.readouterr().err
