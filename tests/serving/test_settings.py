"""A settings file: what is wrong in it is named with what was seen and what is allowed, and nothing is taken for something else."""

from pathlib import Path

import pytest

from domain.errors import SettingsError
from serving.settings import PATHS, load

NUMBERS = ("port", "drain_s", "deadline_ms", "rate_per_s", "control_verify_share")


def file_of(folder: Path, text: str) -> Path:
    """A settings file."""
    file = folder / "burana.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("seen", ["5", "true", '["data"]'])
def test_a_folder_that_is_no_text_is_refused_by_its_name(name: str, seen: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=rf"^{name}: seen .*, allowed a value of type str$"):
        load(file_of(tmp_path, f"{name} = {seen}"))


@pytest.mark.parametrize("name", [*PATHS, "host"])
def test_a_folder_or_an_address_of_no_letters_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=rf"^{name}: seen nothing, allowed a "):
        load(file_of(tmp_path, f'{name} = ""'))


@pytest.mark.parametrize("name", NUMBERS)
def test_true_is_no_number(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=rf"^{name}: seen True, allowed a value of type (int|float)$"):
        load(file_of(tmp_path, f"{name} = true"))


@pytest.mark.parametrize(
    "wrong", ["per_s = true\nburst = 5", "per_s = 5\nburst = true", "per_s = 5\nburst = 1.5", 'per_s = "5"\nburst = 5']
)
def test_a_rate_is_of_a_number_and_a_whole_number(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^rates\.core: seen .*, allowed per_s, a number, and burst, a whole one$"):
        load(file_of(tmp_path, f"[rates.core]\n{wrong}"))


def test_a_rate_out_of_bounds_is_refused_with_its_caller(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^rates\.core: .*seen -1 a second, burst 5; allowed"):
        load(file_of(tmp_path, "[rates.core]\nper_s = -1\nburst = 5"))


def test_an_empty_file_leaves_every_setting_at_its_default(tmp_path: Path) -> None:
    assert load(file_of(tmp_path, "")) == load(None)
