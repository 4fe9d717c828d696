"""What the documents say is true: commands parse, the example is an operation, figures and names are the code's."""

import argparse
import importlib
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.identifiers import Identifiers
from domain.operation import normal_operation
from features.definitions import DEFINITIONS
from features.profiles import PROFILE_NAMES
from serving import cli
from serving.contracts import OPERATION, decoded

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.partition("#")[0].strip()
    for line in re.findall(r"\.venv/bin/burana ([^\n;]*)", README)
    if not line.startswith("COMMAND")
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[:40])
def test_every_command_of_the_readme_parses(command: str) -> None:
    name, *arguments = shlex.split(command.replace("> rules.toml", ""))
    module = importlib.import_module(cli.modules()[name])
    parser = argparse.ArgumentParser(prog=name)
    module.add_arguments(parser)
    assert parser.parse_args(arguments) is not None


def test_the_readme_has_commands_for_all_three_users() -> None:
    assert len(COMMANDS) >= 10


def test_the_example_of_the_readme_is_an_operation() -> None:
    body = re.search(r"-d '(\{.*?\})'", README, re.DOTALL)
    assert body is not None
    operation = decoded(OPERATION, body[1].encode())
    normal = normal_operation(operation, Identifiers(b"a key for tests only"), datetime(2027, 1, 1, tzinfo=UTC))
    assert normal.recipient.phone == "+996555123456"


def test_the_changelog_counts_the_features_that_there_are() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"{len(DEFINITIONS)} behavioural features" in text
    assert f"{len(PROFILE_NAMES)} features of daily habit profiles" in text


def test_every_file_that_the_architecture_names_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:domain|features|casework|training|serving|tests)/[A-Za-z_/]+(?:\.py|\.md)?)`", text))
    missing = [name for name in named if not (ROOT / name).exists()]
    assert named
    assert not missing


@pytest.mark.parametrize("name", ["serving", "training", "notebooks", "development", "uv"])
def test_requirements_are_locked_by_hash_and_name_no_index(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    pinned = re.findall(r"^[A-Za-z0-9._-]+==", text, re.MULTILINE)
    assert pinned
    assert text.count("--hash=sha256:") >= len(pinned)
    assert "://" not in text
    assert "index" not in text


def test_a_serving_installation_locks_nothing_of_the_training_stack() -> None:
    text = (ROOT / "requirements" / "serving.txt").read_text(encoding="utf-8")
    locked = {line.partition("==")[0] for line in text.splitlines() if "==" in line}
    assert not locked & {"lightgbm", "scikit-learn", "mlflow", "pandas", "polars", "feast", "matplotlib"}
