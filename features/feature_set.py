"""The vector: behaviour, then the comparison with profiles; its names in order and the hash of everything they depend on."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from domain.bundle import Manifest
from domain.errors import BundleError
from features.catalogue import Entry, entries_of
from features.plan import Plan
from features.profiles import PROFILE_FEATURES, PROFILE_NAMES, PROFILES_HASH


@dataclass(frozen=True)
class FeatureSet:
    """What a model reads: the plan's features, then those of profiles unless it goes without."""

    plan: Plan
    with_profiles: bool = True

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """In the order of the vector's columns."""
        return self.plan.names + (PROFILE_NAMES if self.with_profiles else ())

    @property
    def entries(self) -> list[Entry]:
        """In words, in the same order."""
        return entries_of(self.plan, PROFILE_FEATURES if self.with_profiles else ())

    @cached_property
    def hash(self) -> str:
        """Hash over the declarations of both, and over all that their meaning depends on; the plan's own without profiles."""
        if not self.with_profiles:
            return self.plan.hash
        return hashlib.sha256(f"{self.plan.hash} {PROFILES_HASH}".encode()).hexdigest()


def fitting(folder: Path, manifest: Manifest, plan: Plan) -> FeatureSet:
    """What the model of a bundle reads; BundleError names the difference where that is not what runs."""
    running = FeatureSet(plan, not set(PROFILE_NAMES).isdisjoint(manifest.features))
    if manifest.declarations == running.hash and manifest.features == running.names:
        return running
    missing = [name for name in manifest.features if name not in running.names]
    new = [name for name in running.names if name not in manifest.features]
    raise BundleError(
        f"{folder} was trained on other features (declarations {manifest.declarations[:12]}, running {running.hash[:12]}): "
        f"only in the bundle {missing or 'none'}, only running {new or 'none'}"
        + ("" if missing or new else "; the names agree, so an order, a window, a filter or the retained arrivals differ")
        + ". Train again or serve the release that made it."
    )
