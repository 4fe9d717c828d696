"""The compiler's cache cannot serve code that was compiled with other constants."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ASK = "from features.engine import Engine; from features.plan import Plan; Engine(Plan([], 8)); print('fits')"


def asked(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, "-c", ASK], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_a_kernel_compiled_with_other_constants_is_refused_with_what_to_do(tmp_path: Path) -> None:
    for room in ("domain", "features"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    assert "fits" in asked(tmp_path).stdout
    layout = tmp_path / "features" / "layout.py"
    layout.write_text(
        layout.read_text()
        .replace("VPN = 1 << 14", "VPN = 1 << 15")
        .replace("DEVICE_GIVEN = 1 << 15", "DEVICE_GIVEN = 1 << 14")
    )
    stale = asked(tmp_path)
    assert "StateError" in stale.stderr
    assert "remove features/__pycache__" in stale.stderr
    shutil.rmtree(tmp_path / "cache")
    assert "fits" in asked(tmp_path).stdout
