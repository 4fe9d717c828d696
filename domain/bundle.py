"""A model bundle: the one thing carried from training to serving; its manifest, and which bundle is named for what."""

import hashlib
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from domain.errors import BundleError, ThresholdError
from domain.levels import Thresholds

MODEL_FILE, MANIFEST_FILE, ROWS_FILE, CARD_FILE = "model.onnx", "manifest.json", "reference_rows.parquet", "CARD.md"
CHAMPION_FILE, CHALLENGERS_FILE = "CHAMPION", "CHALLENGERS"
STABILITY_FILE, THRESHOLDS_FILE, CONTRIBUTIONS_FILE = "stability.json", "thresholds.json", "contributions.npz"
FORMAT = 1


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """What a bundle says of itself; checked at every load.

    features: names in the order of the model's input; declarations: hash of the feature declarations;
    model_sha256, rows_sha256: of the two files beside it; thresholds_argument: why these thresholds;
    history_sha256: of the training data; run: the MLflow run; metrics, parity: figures measured in training;
    stability_sha256: of the reference for drift, empty in bundles that were made without one; thresholds_sha256: of the curve
    and the alternatives behind the argument, contributions_sha256: of the trees that reasons are made of, likewise; code_sha256:
    of the code that trained; trained_to: operations before it may have been trained on, None in bundles that do not say so.
    """

    format: int
    version: str
    created_at: datetime
    features: tuple[str, ...]
    declarations: str
    model_sha256: str
    rows_sha256: str
    thresholds: Thresholds
    thresholds_argument: str
    history_sha256: str
    run: str
    metrics: dict[str, float]
    parity: dict[str, int]
    libraries: dict[str, str]
    stability_sha256: str = ""
    thresholds_sha256: str = ""
    contributions_sha256: str = ""
    code_sha256: str = ""
    trained_to: datetime | None = None


class _Format(Struct):
    """Of a manifest, what is read before everything else: a later format has fields that this release does not know."""

    format: int


def manifest_of(folder: Path) -> Manifest:
    """What a bundle says of itself; BundleError when it is none, or of another format."""
    try:
        stated = (folder / MANIFEST_FILE).read_bytes()
        if (seen := msgspec.json.decode(stated, type=_Format).format) != FORMAT:
            raise BundleError(f"{folder}: format {seen}, this release reads {FORMAT}")
        return msgspec.json.decode(stated, type=Manifest)
    except (OSError, msgspec.DecodeError, ThresholdError) as error:
        raise BundleError(f"{folder} is not a bundle: {error}") from error


def stated(file: Path, sha256: str) -> bytes:
    """The content of a file of a bundle; BundleError unless it is the one that the manifest states."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BundleError(f"{file.parent} is not a bundle: {error}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise BundleError(f"{file} is not the file that its manifest states (sha256 differs)")
    return content


def champion(models: Path) -> Path:
    """The folder of the served bundle; BundleError when none is named."""
    try:
        version = (models / CHAMPION_FILE).read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise BundleError(
            f"{models / CHAMPION_FILE} cannot be read: train a model first (`burana train --champion`)"
        ) from error
    except OSError as error:
        raise BundleError(f"{models / CHAMPION_FILE} cannot be read: {error}") from error
    return models / version


def challengers(models: Path) -> tuple[str, ...]:
    """The versions named in CHALLENGERS, a line each, in its order and once each; none where there is no such file."""
    try:
        lines = (models / CHALLENGERS_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    return tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
