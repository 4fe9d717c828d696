import argparse
import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from domain.json_file import file_to_write, write_json
from serving.cli import main


def test_a_file_that_could_not_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for named in ("missing/figures.json", "folder"):
        with pytest.raises(argparse.ArgumentTypeError, match="in a folder that is there"):
            file_to_write(str(tmp_path / named))
    for named in (str(tmp_path / "figures.json"), "/dev/stdout"):
        assert file_to_write(named) == Path(named)


@pytest.mark.parametrize("command", ["replay", "features", "drift", "train", "evaluate", "simulate", "demo", "import"])
def test_commands_look_at_the_file_of_their_figures_first(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--json", str(tmp_path / "missing" / "figures.json")])
    assert "allowed: a file in a folder that is there" in capsys.readouterr().err


def test_figures_without_a_value_are_null_and_numbers_are_numbers(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    write_json(file, {"share": float("nan"), "count": np.int64(3), "mean": np.float64(0.5), "name": "Бурана"})
    assert json.loads(file.read_text(encoding="utf-8")) == {"share": None, "count": 3, "mean": 0.5, "name": "Бурана"}
    with pytest.raises(TypeError, match="JSON has no form for module"):
        write_json(file, importlib)
    write_json(None, {"nothing": "is written"})
