"""The vector: behaviour, then the comparison with profiles; its names in order and the hash of everything they depend on."""

import hashlib
from dataclasses import dataclass

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

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of the vector's columns."""
        return self.plan.names + (PROFILE_NAMES if self.with_profiles else ())

    @property
    def entries(self) -> list[Entry]:
        """In words, in the same order."""
        return entries_of(self.plan, PROFILE_FEATURES if self.with_profiles else ())

    @property
    def hash(self) -> str:
        """Hash over the declarations of both, and over all that their meaning depends on; the plan's own without profiles."""
        if not self.with_profiles:
            return self.plan.hash
        return hashlib.sha256(f"{self.plan.hash} {PROFILES_HASH}".encode()).hexdigest()
