"""The benchmark of the backtest runs the command that officers run."""

from pathlib import Path

from benchmarks.backtest import measured
from features import history as histories
from training.simulator import WorldSettings, simulate


def test_a_small_run_gives_every_figure(tmp_path: Path) -> None:
    world = simulate(WorldSettings(customers=200, days=8)).history
    histories.write(world, tmp_path / "history")
    figures = measured(tmp_path / "history", tmp_path / "report.json")
    assert figures["operations"] == world.operations.num_rows
    assert figures["rules"] > 0
    assert figures["cpu_seconds"] > 0
    assert figures["within_two_minutes"]
