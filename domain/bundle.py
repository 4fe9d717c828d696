"""The manifest of a model bundle: the one thing carried from training to serving."""

from datetime import datetime

from msgspec import Struct

from domain.levels import Thresholds

MODEL_FILE, MANIFEST_FILE, ROWS_FILE, CARD_FILE = "model.onnx", "manifest.json", "reference_rows.parquet", "CARD.md"
CHAMPION_FILE, STABILITY_FILE, THRESHOLDS_FILE = "CHAMPION", "stability.json", "thresholds.json"
CONTRIBUTIONS_FILE = "contributions.npz"
FORMAT = 1


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """What a bundle says of itself; checked at every load.

    features: names in the order of the model's input; declarations: hash of the feature declarations;
    model_sha256, rows_sha256: of the two files beside it; thresholds_argument: why these thresholds;
    history_sha256: of the training data; run: the MLflow run; metrics, parity: figures measured in training;
    stability_sha256: of the reference for drift, empty in bundles that were made without one; thresholds_sha256: of the curve
    and the alternatives behind the argument, contributions_sha256: of the trees that reasons are made of, likewise; code_sha256:
    of the code that trained.
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
