"""A bundle that exists, to be measured as it is: its graph and its frozen thresholds."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from domain.bundle import FORMAT, MANIFEST_FILE, MODEL_FILE, Manifest
from domain.errors import BundleError, ThresholdError
from features.feature_set import FeatureSet
from features.plan import Plan
from features.profiles import PROFILE_NAMES
from training.fitting import ScoringModel, scorer


@dataclass(frozen=True)
class Released:
    """A bundle's manifest, the features that it reads, and its model."""

    manifest: Manifest
    features: FeatureSet
    model: ScoringModel


def read(folder: Path, plan: Plan) -> Released:
    """BundleError for what is not a bundle, is damaged, or was made of other features than run."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST_FILE).read_bytes(), type=Manifest)
        content = (folder / MODEL_FILE).read_bytes()
    except (OSError, msgspec.DecodeError, ThresholdError) as error:
        raise BundleError(f"{folder} is not a bundle of format {FORMAT}: {error}") from error
    if hashlib.sha256(content).hexdigest() != manifest.model_sha256:
        raise BundleError(f"{folder / MODEL_FILE} is not the file that its manifest states (sha256 differs)")
    features = FeatureSet(plan, with_profiles=not set(PROFILE_NAMES).isdisjoint(manifest.features))
    if (manifest.declarations, manifest.features) != (features.hash, features.names):
        raise BundleError(
            f"{folder} was trained on other features (declarations {manifest.declarations[:12]}, running {features.hash[:12]}): "
            "train again, or evaluate with the release that made it"
        )
    return Released(manifest, features, ScoringModel(scorer(content), manifest.thresholds, manifest.thresholds_argument))
