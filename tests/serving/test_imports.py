"""A serving process carries none of the training stack."""

import json
import subprocess
import sys

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


def test_deciding_imports_nothing_of_the_training_stack(models, tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "home"), str(models)]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True)
    said = json.loads(ended.stdout)
    assert 0 <= said["score"] <= 1, "it really decided"
    assert not set(HEAVY) & set(said["modules"])
