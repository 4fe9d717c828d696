"""An empty MLflow store for a test that trains: its tables take 3.3 s of CPU to make, and 0.06 s to copy."""

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

StoreIn = Callable[[Path], str]
"""Puts an empty store in a folder, which is made if it is missing; its URI."""
FILE = "mlflow.db"


def make(folder: Path) -> None:
    """Make the store that is copied."""
    draft = folder / "draft.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, as in the tests that train
        import mlflow

        mlflow.MlflowClient(f"sqlite:///{draft}").search_experiments()
    draft.rename(folder / FILE)


def copied(made: Path, folder: Path) -> str:
    """Copy it to a folder; its URI."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(made / FILE, folder)
    return f"sqlite:///{folder / FILE}"
