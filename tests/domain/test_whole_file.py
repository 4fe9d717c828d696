"""A file that is written whole or not at all."""

import os
import stat

import pytest

from domain.whole_file import write_whole


def test_the_older_file_stays_until_the_new_one_is_on_the_disk(tmp_path, monkeypatch):
    write_whole(file := tmp_path / "CHAMPION", "first\n")

    def full(_: int) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as failing:
        failing.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="no space"):
            write_whole(file, "second\n")
    assert file.read_text() == "first\n"
    write_whole(file, "second\n", 0o600)
    assert file.read_text() == "second\n"
    assert [path.name for path in tmp_path.iterdir()] == ["CHAMPION"]


def test_what_is_secret_is_read_by_its_owner_alone(tmp_path):
    write_whole(tmp_path / "key", "secret", 0o600)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
