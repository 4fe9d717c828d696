"""A serving process carries none of the training stack, and tells nobody outside of itself."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from domain.untold import SWITCHES
from serving import SHARED_FIGURES
from tests.serving.running import REPOSITORY

HEAVY = ("lightgbm", "sklearn", "mlflow", "pandas", "polars", "feast", "matplotlib", "onnx", "ray", "training")
PROGRAM = """
import asyncio, json, sys
from pathlib import Path
from serving.app import Burana, application
from serving.settings import Settings
from tests.serving.examples import body, operation

home, models = map(Path, sys.argv[1:])

async def live():
    settings = Settings(home=home, models=models)
    application(settings)
    burana = Burana(settings)
    await burana.open()
    decision = json.loads(await burana.assessor.operation(body(operation(1))))
    await burana.close()
    return decision

decision = asyncio.run(live())
print(json.dumps({"score": decision["score"], "modules": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


def decided(home: Path, models: Path, environment: dict[str, str] | None = None) -> dict[str, Any]:
    command = [sys.executable, "-c", PROGRAM, str(home), str(models)]
    ended = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=True)
    said: dict[str, Any] = json.loads(ended.stdout)
    assert 0 <= said["score"] <= 1, "it really decided"
    return said


def test_deciding_imports_nothing_of_the_training_stack(models, tmp_path):
    assert not set(HEAVY) & set(decided(tmp_path / "home", models)["modules"])


def test_deciding_leaves_nothing_to_be_sent_to_the_maker_of_a_library(models, tmp_path):
    """ONNX Runtime keeps what it sends in the user's home; it is silent by itself where CI is in the environment, so that is not."""
    of_the_user = tmp_path / "user"
    of_the_user.mkdir()
    decided(tmp_path / "home", models, {"HOME": str(of_the_user), "PATH": "/usr/bin:/bin", "ORT_DISABLE_TELEMETRY": "0"})
    assert list(of_the_user.rglob("*")) == []


@pytest.mark.parametrize("name", SHARED_FIGURES)
def test_figures_are_kept_in_the_process_whatever_its_environment_says(models, tmp_path, name):
    """Feast leaves the name of a folder to all that its process starts; without that folder the server would not start."""
    decided(tmp_path / "home", models, {**os.environ, name: str(tmp_path / "missing")})


SWITCHED = """
import json, os, sys
import {package}
from domain.untold import SWITCHES
print(json.dumps({{"set": [name for name, word in SWITCHES.items() if os.environ[name] == word], "modules": sorted(sys.modules)}}))
"""


@pytest.mark.parametrize("package", ["serving", "training", "features", "benchmarks"])
def test_the_switches_are_set_before_a_library_is_imported(package):
    command = [sys.executable, "-c", SWITCHED.format(package=package)]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True)
    said = json.loads(ended.stdout)
    assert said["set"] == list(SWITCHES)
    assert not {"onnxruntime", "mlflow", "ray"} & set(said["modules"]), "each looks when it is imported"
