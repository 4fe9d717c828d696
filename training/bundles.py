"""Writing a model bundle: models/<version>/ with model, manifest, reference rows and card."""

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.structs import replace
from numpy.typing import NDArray

from domain.bundle import (
    CARD_FILE,
    CHAMPION_FILE,
    CONTRIBUTIONS_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    ROWS_FILE,
    STABILITY_FILE,
    THRESHOLDS_FILE,
    Manifest,
)
from domain.whole_file import write_whole
from features.bins import Reference
from features.history import whole_folder
from features.tree_contributions import Contributions
from training import contribution_summary
from training.contribution_summary import Summary
from training.thresholds import Argument, Point

PLOT_FILE = "contributions.png"

Matrix = NDArray[np.float64]


def write(
    models: Path, manifest: Manifest, model: bytes, rows: Matrix, raw: NDArray[np.float64], scores: NDArray[np.float64],
    stability: Reference, argument: Argument, contributions: Contributions, summary: Summary,
) -> tuple[Path, Manifest]:  # fmt: skip
    """Write the bundle whole or not at all.

    rows (n, features) with their raw scores and scores (n,) as the graph gave them; stability: what drift is measured against;
    argument: why its thresholds; contributions: what reasons are made of; summary: what they are over many operations, for the card.
    """
    folder = models / manifest.version
    with whole_folder(folder) as draft:
        (draft / MODEL_FILE).write_bytes(model)
        columns = {name: rows[:, i] for i, name in enumerate(manifest.features)}
        pq.write_table(pa.table({**columns, "_raw": raw, "_score": scores}), draft / ROWS_FILE)
        (draft / STABILITY_FILE).write_bytes(stability.encode())
        (draft / THRESHOLDS_FILE).write_bytes(argument.encode())
        (draft / CONTRIBUTIONS_FILE).write_bytes(contributions.encode())
        manifest = replace(
            manifest, rows_sha256=_sha256(draft / ROWS_FILE), stability_sha256=_sha256(draft / STABILITY_FILE),
            thresholds_sha256=_sha256(draft / THRESHOLDS_FILE), contributions_sha256=_sha256(draft / CONTRIBUTIONS_FILE),
        )  # fmt: skip
        (draft / MANIFEST_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        contribution_summary.plot(summary).savefig(draft / PLOT_FILE, dpi=110)
        section = contribution_summary.section(summary, PLOT_FILE)
        (draft / CARD_FILE).write_text(f"{card(manifest, argument)}\n{section}\n", encoding="utf-8")
    return folder, manifest


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def set_champion(models: Path, version: str) -> None:
    """Name the served version, in one rename."""
    write_whole(models / CHAMPION_FILE, version + "\n")


def card(manifest: Manifest, argument: Argument) -> str:
    """CARD.md: what the model is, on what it was measured, and where its thresholds come from."""
    figures = "\n".join(f"| {name} | {value:g} |" for name, value in manifest.metrics.items())
    parity = "\n".join(f"| {name} | {value} |" for name, value in manifest.parity.items())
    points = "\n".join(_row(point) for point in (argument.chosen, *argument.alternatives))
    return f"""# Model {manifest.version}

LightGBM, calibrated, served as ONNX in double. Answers: the probability that an operation is fraud, 0 to 1.

- features: {len(manifest.features)}, declarations `{manifest.declarations[:16]}`
- trained on the history `{manifest.history_sha256[:16]}` by code `{manifest.code_sha256[:16]}`, MLflow run `{manifest.run}`, {manifest.created_at.isoformat()}
- thresholds: medium {manifest.thresholds.medium:.6f}, high {manifest.thresholds.high:.6f}. {manifest.thresholds_argument}

`later` is the last part of the training span. A probe of the same growing, which had seen none of it but for when to stop, was measured on it,
calibrated on it, and its thresholds were chosen on it; the model itself was then grown on the whole span.
On a simulated history these figures say that the parts fit together, nothing about quality.

| figure | value |
|---|---|
{figures}

What other thresholds would have done to the later operations; the first line is what was chosen:

| policy | medium | high | verified a day | rejected a day | recall | of the money | precision of the rejected | genuine of 1000 verified | rejected |
|---|---|---|---|---|---|---|---|---|---|
{points}

Rows whose raw ONNX score differs in any bit from LightGBM's, and rows with a contribution that is not LightGBM's:

| rows | differing |
|---|---|
{parity}
"""


def _row(point: Point) -> str:
    cells = (
        point.policy, f"{point.medium:.4g}", f"{point.high:.4g}", f"{point.verified_per_day:.1f}", f"{point.rejected_per_day:.1f}",
        f"{point.recall:.3f}", f"{point.value_recall:.3f}", f"{point.high_precision:.3f}",
        f"{point.genuine_verified_per_1000:.2f}", f"{point.genuine_rejected_per_1000:.2f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"
