"""A bundle that exists, to be measured as it is: its graph and its frozen thresholds."""

from dataclasses import dataclass
from pathlib import Path

import onnx

from domain.bundle import CONTRIBUTIONS_FILE, MODEL_FILE, THRESHOLDS_FILE, Manifest, manifest_of, stated
from domain.errors import BundleError
from features.feature_set import FeatureSet, fitting
from features.plan import Plan
from features.tree_contributions import Contributions
from training.fitting import ScoringModel, scorer
from training.thresholds import Argument


@dataclass(frozen=True)
class Released:
    """A bundle's manifest, the features that it is given, its model, and the columns that a split of it reads, in order."""

    manifest: Manifest
    features: FeatureSet
    model: ScoringModel
    used: tuple[int, ...]


def read(folder: Path, plan: Plan) -> Released:
    """BundleError for what is not a bundle, is damaged, or was made of other features than run."""
    manifest = manifest_of(folder)
    features = fitting(folder, manifest, plan)
    content = stated(folder / MODEL_FILE, manifest.model_sha256)
    model = ScoringModel(scorer(content), manifest.thresholds, manifest.thresholds_argument)
    return Released(manifest, features, model, used(content))


def used(model: bytes) -> tuple[int, ...]:
    """The columns that a split of an exported graph reads, in order."""
    graph = onnx.load_from_string(model).graph
    width = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    ensembles = [node for node in graph.node if node.op_type == "TreeEnsemble"]
    read = [list(part.ints) for node in ensembles for part in node.attribute if part.name == "nodes_featureids"]
    return tuple(sorted({column % width for columns in read for column in columns}))  # blocks of READ are as wide


def argument_of(folder: Path, manifest: Manifest) -> Argument:
    """Why the thresholds of a bundle lie where they do, with curve and alternatives; BundleError where it does not say."""
    if not manifest.thresholds_sha256:
        raise BundleError(f"{folder} keeps no {THRESHOLDS_FILE}: train again (`burana train`), new bundles have one")
    return Argument.decode(stated(folder / THRESHOLDS_FILE, manifest.thresholds_sha256))


def contributions_of(folder: Path, manifest: Manifest) -> Contributions:
    """What a bundle's scores are made of; BundleError where it does not say."""
    if not manifest.contributions_sha256:
        raise BundleError(f"{folder} keeps no {CONTRIBUTIONS_FILE}: train again (`burana train`), new bundles have one")
    return Contributions.decode(stated(folder / CONTRIBUTIONS_FILE, manifest.contributions_sha256))
