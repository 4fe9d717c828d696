"""Notebooks run from top to bottom on a small world, define nothing, and are kept without what they once printed."""

import ast
import asyncio
import contextlib
import json
import os
import re
import sys
from datetime import timedelta
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from features.history import cut
from features.history import read as read_history
from serving import replay
from serving.settings import Settings
from training.boosting import Boosting
from training.bundles import set_champion
from training.pipeline import FitSettings
from training.simulator import WorldSettings, simulate, write
from training.train import TrainSettings, train

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
WORLD = WorldSettings(seed=3, customers=400, days=30, fraud_share=0.03)
FIRST_REPLAYED = WORLD.start + timedelta(days=24)
ABSOLUTE_PATH = re.compile(r"(?<![\w./])/(home|root|tmp|work|usr|var|opt|mnt|Users)/|[A-Z]:\\\\")

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy is deprecated",  # MLflow's store, through SQLAlchemy 2.1
)
every_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def read(notebook: Path) -> nbformat.NotebookNode:
    return nbformat.read(notebook, as_version=4)


def code(notebook: Path) -> list[str]:
    """The code cells, without lines of magic."""
    cells = [cell.source for cell in read(notebook).cells if cell.cell_type == "code"]
    return [re.sub(r"^[%!].*$", "", source, flags=re.MULTILINE) for source in cells]


@pytest.fixture(scope="module")
def world(tmp_path_factory, store_in) -> dict[str, str]:
    """The environment that names a small history, a champion trained on all but its last days, and a ledger of these."""
    folder = tmp_path_factory.mktemp("notebooks")
    history, models = folder / "history", folder / "models"
    write(simulate(WORLD), history)
    settings = TrainSettings(
        end=FIRST_REPLAYED, warm_up=timedelta(0), parity_rows=2_000, fit=FitSettings(boosting=Boosting(trees=40))
    )
    bundle, _, _ = train(history, models, store_in(folder), settings)
    set_champion(models, bundle.name)
    whole, home = read_history(history), folder / "home"
    before, after = cut(whole, None, FIRST_REPLAYED), cut(whole, FIRST_REPLAYED, None)
    asyncio.run(replay.in_process(after, before, Settings(home=home, models=models)))
    return {
        "BURANA_HISTORY": str(history), "BURANA_MODELS": str(models), "BURANA_FROM": FIRST_REPLAYED.isoformat(),
        "BURANA_HOME": str(home),
    }  # fmt: skip


@pytest.fixture
def kernel(tmp_path):
    """A kernel that runs this very interpreter, whatever kernels the machine knows."""
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (folder / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "here", "language": "python"}))
    found = KernelSpecManager(kernel_dirs=[str(folder.parent)], ensure_native_kernel=False)
    return AsyncKernelManager(kernel_name="python3", kernel_spec_manager=found)


def executed(notebook: Path, kernel: AsyncKernelManager, environment: dict[str, str]) -> nbformat.NotebookNode:
    """The notebook with its outputs, to its end or to the first error."""
    ran = read(notebook)
    client = NotebookClient(ran, km=kernel, timeout=120, resources={"metadata": {"path": str(notebook.parent)}})
    with contextlib.suppress(CellExecutionError):
        client.execute(env=os.environ | environment, cleanup_kc=True)
    return ran


def outputs(ran: nbformat.NotebookNode, type_: str) -> list[nbformat.NotebookNode]:
    return [
        output for cell in ran.cells if cell.cell_type == "code" for output in cell.outputs if output.output_type == type_
    ]


@every_notebook
def test_a_notebook_runs_to_its_end_and_shows_plots(notebook, kernel, world):
    ran = executed(notebook, kernel, world)
    assert not [f"{error.ename}: {error.evalue}" for error in outputs(ran, "error")]
    assert [
        shown for kind in ("display_data", "execute_result") for shown in outputs(ran, kind) if "image/png" in shown.data
    ]


@every_notebook
def test_a_notebook_without_data_says_what_to_run_first(notebook, kernel, tmp_path):
    nothing = dict.fromkeys(("BURANA_HISTORY", "BURANA_HOME"), str(tmp_path / "none"))
    first, *_ = outputs(executed(notebook, kernel, nothing), "error")
    assert "make demo" in first.evalue


@every_notebook
def test_a_notebook_defines_nothing(notebook):
    defining = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    for source in code(notebook):
        tree = compile(source, notebook.name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        assert not [node.lineno for node in ast.walk(tree) if isinstance(node, defining)], source


@every_notebook
def test_a_notebook_is_kept_without_outputs_and_without_paths_of_a_machine(notebook):
    assert not [c.id for c in read(notebook).cells if c.cell_type == "code" and (c.outputs or c.execution_count is not None)]
    assert not ABSOLUTE_PATH.search(notebook.read_text(encoding="utf-8"))


def test_there_are_notebooks():
    assert NOTEBOOKS
