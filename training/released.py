"""A bundle that exists, to be measured as it is: its graph and its frozen thresholds."""

from dataclasses import dataclass
from pathlib import Path

from domain.bundle import MODEL_FILE, Manifest, manifest_of, stated
from features.feature_set import FeatureSet, fitting
from features.plan import Plan
from training.fitting import ScoringModel, scorer


@dataclass(frozen=True)
class Released:
    """A bundle's manifest, the features that it reads, and its model."""

    manifest: Manifest
    features: FeatureSet
    model: ScoringModel


def read(folder: Path, plan: Plan) -> Released:
    """BundleError for what is not a bundle, is damaged, or was made of other features than run."""
    manifest = manifest_of(folder)
    features = fitting(folder, manifest, plan)
    content = stated(folder / MODEL_FILE, manifest.model_sha256)
    return Released(manifest, features, ScoringModel(scorer(content), manifest.thresholds, manifest.thresholds_argument))
