"""The README's second command, on a smaller world."""

import json
import subprocess
import sys
from pathlib import Path


def test_the_demo_goes_the_whole_way(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "serving.cli", "demo", "--folder", "demo", "--customers", "400", "--days", "40"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-3_000:]
    assert "recall (stopped: medium or high)" in done.stdout
    assert "vectors_differ                          0" in done.stdout
    assert "vectors_without_profiles                0" in done.stdout
    assert "Where to look next" in done.stdout
    figures = json.loads((tmp_path / "demo" / "replay.json").read_text())
    assert figures["operations"] > 1_000
    assert not figures["refusals"]


def test_the_demo_never_removes_a_folder_that_it_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").touch()
    command = [sys.executable, "-m", "serving.cli", "demo", "--folder", "mine"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "was not made by the demo" in done.stderr
    assert (tmp_path / "mine" / "precious").exists()
