"""The MLflow run of a training: parameters, metrics, plots, the bundle; the registry holds it with aliases."""

import logging
import math
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from domain.bundle import Manifest
from domain.errors import SettingsError, TrackingError
from training import training_plots
from training.pipeline import FitSettings, Fitted

EXPERIMENT = REGISTERED_MODEL = "burana"
_CREDENTIALS = re.compile(r"://[^/@\s]+@")


class Run:
    """An open MLflow run."""

    def __init__(self, mlflow: Any, run_id: str) -> None:
        self._mlflow, self.id = mlflow, run_id

    def log_comparison(self, figures: Mapping[str, float], file: Path) -> None:
        """Log what a challenger was compared by, and the file with all of it."""
        self._mlflow.log_metrics({name: value for name, value in figures.items() if math.isfinite(value)})
        self._mlflow.log_artifact(str(file), "comparison")

    def tag(self, **tags: str) -> None:
        """Say what became of it."""
        self._mlflow.set_tags(tags)

    def finish(self, bundle: Path, manifest: Manifest, settings: FitSettings, fitted: Fitted) -> None:
        """Log figures, plots and the bundle, and register it as a version of the model, alias `candidate`."""
        self._mlflow.log_metrics(manifest.metrics)
        self._mlflow.log_params({f"grown.{name}": value for name, value in settings.boosting.figures().items()})
        self._mlflow.log_metrics({f"differing_{name}": count for name, count in manifest.parity.items()})
        self._mlflow.log_params({"medium": manifest.thresholds.medium, "high": manifest.thresholds.high})
        with tempfile.TemporaryDirectory() as folder:
            training_plots.save(Path(folder), fitted)
            self._mlflow.log_artifacts(folder, "plots")
        self._mlflow.log_artifacts(str(bundle), "bundle")
        client = self._mlflow.MlflowClient()
        if not client.search_registered_models(f"name='{REGISTERED_MODEL}'"):
            client.create_registered_model(REGISTERED_MODEL)
        source = self._mlflow.get_artifact_uri("bundle")
        version = client.create_model_version(REGISTERED_MODEL, source, self.id, tags={"bundle": manifest.version})
        client.set_registered_model_alias(REGISTERED_MODEL, "candidate", version.version)


@contextmanager
def run(tracking_uri: str, parameters: dict[str, Any]) -> Iterator[Run]:
    """An MLflow run that ends with the block, as failed when the block fails."""
    if tracking_uri.startswith("sqlite:///"):
        Path(tracking_uri.removeprefix("sqlite:///")).absolute().parent.mkdir(parents=True, exist_ok=True)
    elif "://" not in tracking_uri:
        raise SettingsError(f"--mlflow: seen {tracking_uri!r}, allowed sqlite:///FILE or the URL of an MLflow server")
    mlflow = _mlflow()
    mlflow.set_tracking_uri(tracking_uri)
    with _reached(mlflow, tracking_uri):
        experiment = mlflow.get_experiment_by_name(EXPERIMENT)
        identifier = (
            experiment.experiment_id if experiment else mlflow.create_experiment(EXPERIMENT, _artifacts(tracking_uri))
        )
    with mlflow.start_run(experiment_id=identifier) as started:
        mlflow.log_params(parameters)
        yield Run(mlflow, started.info.run_id)


def set_aliases(tracking_uri: str, bundles: Mapping[str, str | None]) -> None:
    """Alias -> bundle whose registered version takes it; None, or a bundle that was never registered, takes it away.

    TrackingError when the store cannot be reached.
    """
    mlflow = _mlflow()
    mlflow.set_tracking_uri(tracking_uri)
    with _reached(mlflow, tracking_uri):
        client = mlflow.MlflowClient()
        found = client.search_model_versions(f"name='{REGISTERED_MODEL}'")
        versions = {one.tags.get("bundle"): one.version for one in reversed(found)}
        for alias, bundle in bundles.items():
            if bundle in versions:
                client.set_registered_model_alias(REGISTERED_MODEL, alias, versions[bundle])
            elif found:
                client.delete_registered_model_alias(REGISTERED_MODEL, alias)


@contextmanager
def _reached(mlflow: Any, tracking_uri: str) -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 with MLflow, whose stores raise it

    try:
        yield
    except (mlflow.exceptions.MlflowException, SQLAlchemyError) as error:
        raise TrackingError(
            without_secrets(f"{tracking_uri}: {error}; is the store running, and may it be written?")
        ) from error


def without_secrets(text: str) -> str:
    """The text with names and passwords taken out of the URLs in it."""
    return _CREDENTIALS.sub("://***@", text)


def _mlflow() -> Any:
    """MLflow, imported when a run begins: it takes seconds, and says much that is not ours."""
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside MLflow and what it imports
        import mlflow  # noqa: PLC0415
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow


def _artifacts(tracking_uri: str) -> str | None:
    """Artifacts of a SQLite store live beside it; a server has its own place."""
    if not tracking_uri.startswith("sqlite:///"):
        return None
    return (Path(tracking_uri.removeprefix("sqlite:///")).absolute().parent / "mlartifacts").as_uri()
