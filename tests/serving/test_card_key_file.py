"""The file of the card key: on the disk before it is used, its owner's alone, and never one that is no secret."""

import os
from pathlib import Path

import pytest

from domain.errors import SettingsError
from serving import cli
from serving.settings import CARD_KEY_FILE, card_key


def test_a_new_key_is_on_the_disk_before_it_is_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[bool, str]] = []

    def fsync(file: int) -> None:
        named = Path(f"/proc/self/fd/{file}").readlink()
        synced.append(((tmp_path / CARD_KEY_FILE).exists(), named.read_text(encoding="ascii")))

    monkeypatch.setattr(os, "fsync", fsync)
    key = card_key(tmp_path)
    assert synced == [(False, key.hex())]
    assert (tmp_path / CARD_KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert card_key(tmp_path) == key


@pytest.mark.parametrize("text", ["", "\n", "00", "00" * 15, "no key"])
def test_a_file_that_holds_no_secret_is_refused_and_no_signing_secret_is_made_of_it(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / CARD_KEY_FILE).write_text(text, encoding="ascii")
    with pytest.raises(SettingsError, match="restore it"):
        card_key(tmp_path)
    assert cli.main(["keys", "make", "--home", str(tmp_path), "--caller", "switch", "--signed", "--by", "Aigul"]) == 2
    told = capsys.readouterr()
    assert ("card.key" in told.err, told.out) == (True, "")
    assert cli.main(["keys", "make", "--home", str(tmp_path), "--caller", "switch", "--by", "Aigul"]) == 0
    assert cli.main(["keys", "list", "--home", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("switch") == 1, "none was made that nobody can sign with"
