"""Changes of the champion: checked against the one that is in force, recorded before they take effect, one at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from domain import promotions
from domain.bundle import CHAMPION_FILE, champion, manifest_of
from domain.errors import PromotionError, SettingsError
from domain.promotions import PROMOTIONS_FILE, Promotion
from training import bundles

LOCK_FILE = ".promotions.lock"


def in_force(models: Path) -> str | None:
    """The version that CHAMPION names, None before the first."""
    return champion(models).name if (models / CHAMPION_FILE).exists() else None


def check(models: Path, version: str) -> None:
    """BundleError where there is no such bundle, PromotionError for a path to one in place of its version: records name versions."""
    if (found := manifest_of(models / version).version) != version:
        raise PromotionError(f"the bundle in {models / version} is {found}, seen {version!r}: name a version in {models}")


def check_said(by: str, reason: str) -> None:
    """SettingsError without a person and a reason: to be asked before what takes minutes."""
    if not by.strip() or not reason.strip():
        raise SettingsError(f"a change of champion needs a person and a reason; seen --by {by!r}, --reason {reason!r}")


def promote(
    models: Path,
    version: str,
    by: str,
    reason: str,
    *,
    expected: str | None,
    override: bool = False,
    figures: str | None = None,
) -> Promotion:
    """Make a bundle the champion in place of the one that it was compared with.

    expected: the champion of the comparison; PromotionError when another one is in force by now. override: the comparison
    spoke against it, or there was none; figures: the file that keeps it. SettingsError without a person and a reason.
    """
    with _held(models):
        if (seen := in_force(models)) != expected:
            raise PromotionError(
                f"{seen or 'nobody'} is champion by now, not {expected or 'nobody'} as when {version} was compared: compare again"
            )
        return _change(models, version, by, reason, override=override, figures=figures)


def roll_back(models: Path, by: str, reason: str) -> Promotion:
    """Go back to the champion before; PromotionError where the records know of none."""
    with _held(models):
        if (seen := in_force(models)) is None:
            raise PromotionError(f"{models}: there is no champion to go back from")
        before = promotions.champion_before(promotions.read(models), seen)
        if before is None:
            raise PromotionError(
                f"{models / PROMOTIONS_FILE} knows of no champion before {seen}; `burana promote` names any other"
            )
        return _change(models, before, by, reason, roll_back=True)


def _change(models: Path, version: str, by: str, reason: str, **how: bool | str | None) -> Promotion:
    check_said(by, reason)
    check(models, version)
    change = {"at": datetime.now(UTC), "by": by, "reason": reason, "from": in_force(models), "to": version, **how}
    promotion = msgspec.convert(change, Promotion)
    _append(models / PROMOTIONS_FILE, msgspec.json.encode(promotion) + b"\n")  # before CHAMPION: a server reads who it was
    bundles.set_champion(models, version)
    return promotion


@contextmanager
def _held(models: Path) -> Iterator[None]:
    """Be the only one who changes the champion of a folder; SettingsError where there is none."""
    if not models.is_dir():
        raise SettingsError(f"{models} is no folder; name by --models the one of the bundles and CHAMPION")
    with (models / LOCK_FILE).open("w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _append(file: Path, line: bytes) -> None:
    """Add a line that is on the disk when this returns; a line that a crash left without its end is cut off."""
    with file.open("a+b") as opened:
        opened.seek(0)
        opened.truncate(opened.read().rfind(b"\n") + 1)
        opened.write(line)
        opened.flush()
        os.fsync(opened.fileno())
