"""Profiles as sorted arrays: what batch and endpoint search, and a folder of .npy files that is written whole or not at all."""

import hashlib
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain import instants
from domain.errors import StateError
from features import profile_kernel as kernel
from features.history import whole_folder
from features.profile_kernel import Integers, Packed
from features.profile_language import Whose
from features.profiles import LAYOUTS, PROFILE_LAG_MS, PROFILE_NAMES, PROFILES_HASH, ROW_WORDS, STEPS

FORMAT = 1
NPY_HEADER = 128
"""Bytes of a .npy file before its values."""
PIECE = 1 << 17
"""Bytes read and hashed at once: half a millisecond, from a disk that others wait for too."""


@dataclass(frozen=True)
class PackedProfiles:
    """The profiles of one kind of entity: keys (m,), local days (m,), rows (m, width), all int64, ascending by key, then day."""

    whose: Whose
    keys: Integers
    days: Integers
    rows: Integers

    def __post_init__(self) -> None:
        count, width = len(self.keys), LAYOUTS[self.whose].width
        shapes = (self.keys.shape, self.days.shape, self.rows.shape)
        if shapes != ((count,), (count,), (count, width)):
            raise StateError(
                f"{self.whose.name.lower()} profiles: shapes {shapes}, allowed ({count},), ({count},), ({count}, {width})"
            )
        for array in (self.keys, self.days, self.rows):  # one operation is compared by their addresses
            if array.dtype != np.int64 or not array.flags.c_contiguous:
                raise StateError(f"{self.whose.name.lower()} profiles: {array.dtype}, allowed int64, row after row")

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def of(cls, whose: Whose, keys: Integers, days: Integers, rows: Integers) -> "PackedProfiles":
        """Profiles in any order; of two of the same (key, day) the later one stays."""
        order = np.lexsort((days, keys))
        keys, days = keys[order], days[order]
        last = np.ones(len(keys), np.bool_)
        last[:-1] = (np.diff(keys) != 0) | (np.diff(days) != 0)
        return cls(whose, keys[last], days[last], np.ascontiguousarray(rows[order[last]]))

    @classmethod
    def none(cls, whose: Whose) -> "PackedProfiles":
        """No profile at all."""
        empty = np.zeros(0, np.int64)
        return cls(whose, empty, empty, np.zeros((0, LAYOUTS[whose].width), np.int64))

    def find(self, keys: Integers, days: Integers) -> Integers:
        """(n,) keys and local days -> (n,) places, -1 where there is none."""
        places: Integers = kernel.places_of(keys, days, self.keys, self.days)
        return places


@dataclass(frozen=True)
class Profiles:
    """What operations are compared with: the profiles of customers, recipients and devices of one or more local days.

    last_day: the newest local day (number since 1970-01-01), or None when there are no profiles; created_at: when they were put
    together; id: of the folder that they were loaded from, by its content. An operation whose due day is not among them has no profile: its values are NaN, which the caller states.
    """

    customer: PackedProfiles
    recipient: PackedProfiles
    device: PackedProfiles
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    id: str = ""

    @classmethod
    def none(cls) -> "Profiles":
        """No profiles: every value is missing."""
        customer, recipient, device = (PackedProfiles.none(whose) for whose in Whose)
        return cls(customer, recipient, device)

    def __len__(self) -> int:
        return sum(map(len, self.each))

    @property
    def each(self) -> tuple[PackedProfiles, PackedProfiles, PackedProfiles]:
        """In the order of Whose."""
        return self.customer, self.recipient, self.device

    @property
    def last_day(self) -> int | None:
        """The newest local day of which there is a profile."""
        return max((int(part.days.max()) for part in self.each if len(part)), default=None)

    @cached_property
    def days(self) -> frozenset[int]:
        """The local days of which there are profiles."""
        return frozenset(np.unique(np.concatenate([np.unique(part.days) for part in self.each])).tolist())

    def values(self, rows: Integers, out: NDArray[np.float64] | None = None, days_behind: int = 0) -> NDArray[np.float64]:
        """Operations (n, WORDS) -> (n, len(PROFILE_NAMES)) float64, by the profile due at each one's own time.

        out: where to write instead, any array of that shape, such as the right part of a wider matrix; days_behind: by the
        profile of so many days before the due one.
        """
        out = np.empty((len(rows), len(PROFILE_NAMES)), np.float64) if out is None else out
        keys, days, packed = self._arrays
        kernel.read(STEPS, ROW_WORDS, PROFILE_LAG_MS + days_behind * instants.DAY, rows, keys, days, packed, out)
        return out

    @cached_property
    def _arrays(self) -> tuple[Packed, Packed, Packed]:
        """Keys, days and rows of the three, as compiled code takes them."""
        a, b, c = self.each
        return (a.keys, b.keys, c.keys), (a.days, b.days, c.days), (a.rows, b.rows, c.rows)

    def save(self, folder: Path) -> None:
        """Write the folder whole or not at all; HistoryError if it exists."""
        with whole_folder(folder) as draft:
            for part in self.each:
                for name in ("keys", "days", "rows"):
                    np.save(draft / f"{part.whose.name.lower()}_{name}.npy", getattr(part, name))
            header = {"format": FORMAT, "declarations": PROFILES_HASH, "created_at": self.created_at.isoformat(),
                      "last_day": self.last_day, "profiles": len(self),
                      "sha256": {file.name: _sha256(file) for file in sorted(draft.iterdir())}}  # fmt: skip
            (draft / "header.json").write_text(json.dumps(header, indent=1))

    @classmethod
    def load(cls, folder: Path, share: float = 1.0) -> "Profiles":
        """The profiles of a folder, mapped; StateError when they are damaged or were made by other declarations.

        The files are read once, to compare them with what the header states: what is found there later is in memory by then.
        share: of a core's time that this takes at most, in (0, 1].
        """
        try:
            stated = (folder / "header.json").read_bytes()
            header = json.loads(stated)
            if header["format"] != FORMAT or header["declarations"] != PROFILES_HASH:
                raise StateError(
                    f"{folder} was made by profiles {header['declarations'][:12]}, running are {PROFILES_HASH[:12]}; "
                    "run `burana features materialise` again"
                )
            _check(folder, header["sha256"], share)
            customer, recipient, device = (PackedProfiles(whose, *_loaded(folder, whose)) for whose in Whose)
            created_at = datetime.fromisoformat(header["created_at"])
            return cls(customer, recipient, device, created_at, id_of(stated))
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise StateError(
                f"{folder} is not readable as profiles ({error}); remove it and run `burana features snapshot` again"
            ) from error


def id_of(header: bytes) -> str:
    """The id of a folder of profiles by the content of its header.json, which states the hash of every other file."""
    return hashlib.sha256(header).hexdigest()[:16]


def _check(folder: Path, stated: dict[str, str], share: float) -> None:
    for name in sorted(stated.keys() | {file.name for file in folder.glob("*.npy")}):
        if _sha256(folder / name, share) != stated.get(name):
            raise StateError(
                f"{folder / name} is not the file that its header states; remove {folder} and run `burana features snapshot` again"
            )


def _sha256(file: Path, share: float = 1.0) -> str:
    """share: of a core's time; between two pieces the thread rests for as long as that asks."""
    made = hashlib.sha256()
    with file.open("rb") as opened:
        began = time.perf_counter()
        while piece := opened.read(PIECE):
            made.update(piece)
            if share < 1:
                time.sleep((time.perf_counter() - began) * (1 / share - 1))
                began = time.perf_counter()
    return made.hexdigest()


def _loaded(folder: Path, whose: Whose) -> list[Integers]:
    return [_mapped(folder / f"{whose.name.lower()}_{name}.npy") for name in ("keys", "days", "rows")]


def _mapped(file: Path) -> Integers:
    # "c": pages come from the file, writes would stay in memory; compiled code then sees the type it was compiled for
    empty = file.stat().st_size <= NPY_HEADER  # nothing there that could be mapped
    return np.asarray(np.load(file, mmap_mode=None if empty else "c", allow_pickle=False))


def snapshot_folder(folder: Path) -> Path:
    """Where the snapshots of the running declarations stand, each named by its last day; those of others stand beside it."""
    return folder / PROFILES_HASH[:12]


def newest(folder: Path) -> Path | None:
    """The newest snapshot that the running declarations can read, of a folder of snapshots; None when there is none yet."""
    mine = snapshot_folder(folder)
    if not mine.is_dir():
        return None
    return max((path for path in mine.iterdir() if not path.name.startswith(".")), default=None)
