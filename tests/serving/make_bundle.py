"""A small real champion: simulate a world, train on it, name the bundle.

Run in a process of its own: `make_bundle FOLDER [--profiles] [--trees N]`.
"""

import argparse
from datetime import timedelta
from pathlib import Path

from training import bundles
from training.boosting import Boosting
from training.pipeline import FitSettings
from training.simulator import WorldSettings, simulate, write
from training.train import TrainSettings, train

WORLD = WorldSettings(seed=5, customers=400, days=30, fraud_share=0.04, late_share=0.01)


def main(folder: Path, profiles: bool, trees: int) -> None:
    """FOLDER/world is the history, FOLDER/models the bundles with CHAMPION; profiles: one that reads profiles too."""
    write(simulate(WORLD), folder / "world")
    tracking = f"sqlite:///{folder / 'mlflow.db'}"
    fitting = FitSettings(boosting=Boosting(trees=trees))
    settings = TrainSettings(warm_up=timedelta(0), parity_rows=2_000, profiles=profiles, fit=fitting)
    _, manifest, _ = train(folder / "world", folder / "models", tracking, settings)
    bundles.set_champion(folder / "models", manifest.version)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--profiles", action="store_true")
    parser.add_argument("--trees", type=int, default=30)
    main(**vars(parser.parse_args()))
