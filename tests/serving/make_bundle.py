"""A small real champion: simulate a world, train on it, name the bundle.

Run in a process of its own: `make_bundle FOLDER [--profiles]`.
"""

import sys
from pathlib import Path

from training import bundles
from training.simulator import WorldSettings, simulate, write
from training.train import TrainSettings, train

WORLD = WorldSettings(seed=5, customers=400, days=30, fraud_share=0.04, late_share=0.01)


def main(folder: Path, *, profiles: bool) -> None:
    """FOLDER/world is the history, FOLDER/models the bundles with CHAMPION; profiles: one that reads profiles too."""
    write(simulate(WORLD), folder / "world")
    tracking = f"sqlite:///{folder / 'mlflow.db'}"
    _, manifest, _ = train(
        folder / "world", folder / "models", tracking, TrainSettings(seed=1, trees=30, parity_rows=2_000, profiles=profiles)
    )
    bundles.set_champion(folder / "models", manifest.version)


if __name__ == "__main__":
    main(Path(sys.argv[1]), profiles="--profiles" in sys.argv)
