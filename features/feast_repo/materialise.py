"""Profiles of the days that are not done yet -> offline store -> online store -> snapshot for the endpoint.

Each step leaves whole files or none and looks at what is there, so a run that was killed is finished by the next one.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from feast import FeatureStore
from tqdm import tqdm

from domain.errors import HistoryError, SettingsError
from domain.file_lock import held
from domain.instants import from_ms
from domain.whole_file import write_whole
from features.feast_repo import sources
from features.feast_repo.store import CONFIGURATION, quiet
from features.feast_repo.views import day_name, packed_name, view_name, whose_name
from features.packed_profiles import PackedProfiles, Profiles, snapshot_folder
from features.profile_days import Habits
from features.profile_language import Whose
from features.profiles import LAYOUTS, PROFILES_HASH, date_of, known_from

DAYS_AT_ONCE = 8
"""Days that are computed in one go: the window slides over them, so the 89 days before are gone through once for all."""
READ_AT_ONCE = 5_000
_MARK = "online.json"


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One run at a time on a folder; SettingsError when another one is under way."""
    with held(folder / "materialise.lock") as is_alone:
        if not is_alone:
            raise SettingsError(f"{folder}: another run is materialising here; wait for it")
        yield


def compute_days(habits: Habits, folder: Path, first: int | None = None) -> dict[str, int]:
    """Write the profiles of every settled local day from `first` on that has no file yet; `days` and `profiles` written.

    first: by default the day of the first operation.
    """
    if habits.settled_day is None or habits.frame.is_empty():
        return {"days": 0, "profiles": 0}
    first = int(habits.frame["day"].to_numpy().min()) if first is None else first
    wanted = range(first, habits.settled_day + 1)
    missing = {whose: sorted(set(wanted) - sources.days_done(folder, whose)) for whose in Whose}
    written = 0
    with tqdm(total=sum(map(len, missing.values())), desc="profiles", unit="day", delay=2, mininterval=1) as progress:
        for whose, days in missing.items():
            for some in _runs(days):
                asked = habits.active(whose, some)
                written += sources.write_profiles(folder, whose, some, habits.blocks(whose, asked))
                progress.update(len(some))
    return {"days": len(set().union(*missing.values())), "profiles": written}


def newest_day(folder: Path) -> int:
    """The newest local day of which all profiles are in the offline store; HistoryError when there is none."""
    done = set.intersection(*(sources.days_done(folder, whose) for whose in Whose))
    if not done:
        raise HistoryError(
            f"{folder} holds no profiles of these declarations; run `burana features materialise` with --history"
        )
    return max(done)


def to_online(store: FeatureStore, folder: Path, day: int) -> dict[str, int]:
    """Bring the profiles of a day into the online store, unless they are there; `online` written.

    An operation reads the newest profile alone, so earlier days are not brought there. What is interrupted is done again.
    """
    mark, done = folder / _MARK, {"declarations": PROFILES_HASH, "day": day, "stores": _stores(folder)}
    if _marked(mark) == done:
        return {"online": 0}
    instant = from_ms(known_from(day))
    names = [view_name(whose) for whose in Whose]
    with quiet():  # its progress goes to stderr
        store.materialize(instant, instant, feature_views=names)
    write_whole(mark, json.dumps(done))
    return {"online": sum(len(sources.read_profiles(folder, whose, day)) for whose in Whose)}


def snapshot(store: FeatureStore, folder: Path, out: Path, day: int) -> Path:
    """Write the snapshot of a day, and of the one before, for the endpoint: that day's profiles as the online store has them.

    The day before is the offline store's: until the newer profiles count, operations read those. Nothing is written when the
    snapshot is there. HistoryError when the online store has not what the offline store has.
    """
    folder_of_day = snapshot_folder(out) / date_of(day).isoformat()
    if not folder_of_day.exists():
        parts = [_joined(_from_online(store, folder, whose, day), folder, day - 1) for whose in Whose]
        customer, recipient, device = parts
        Profiles(customer, recipient, device).save(folder_of_day)
    return folder_of_day


def past_snapshots(folder: Path, out: Path, newest: int) -> int:
    """Write the snapshot of every day before the newest that has none yet, as the offline store has it; how many were written.

    For a replay of days that are gone: the online store holds the newest day alone.
    """
    done = set.intersection(*(sources.days_done(folder, whose) for whose in Whose))
    missing = [day for day in sorted(done - {newest}) if not (snapshot_folder(out) / date_of(day).isoformat()).exists()]
    for day in tqdm(missing, desc="past snapshots", unit="day", delay=2, mininterval=1):
        parts = [_joined(sources.read_profiles(folder, whose, day), folder, day - 1) for whose in Whose]
        customer, recipient, device = parts
        Profiles(customer, recipient, device).save(snapshot_folder(out) / date_of(day).isoformat())
    return len(missing)


def _joined(newest: PackedProfiles, folder: Path, before: int) -> PackedProfiles:
    whose = newest.whose
    if before not in sources.days_done(folder, whose):
        return newest
    earlier = sources.read_profiles(folder, whose, before)
    keys, days, rows = (
        np.concatenate([getattr(part, name) for part in (earlier, newest)]) for name in ("keys", "days", "rows")
    )
    return PackedProfiles.of(whose, keys, days, rows)


def _from_online(store: FeatureStore, folder: Path, whose: Whose, day: int) -> PackedProfiles:
    """The profiles of a day, read back through Feast from the online store, of the entities that the offline store has."""
    keys = sources.read_profiles(folder, whose, day).keys
    asked = [f"{view_name(whose)}:{name}" for name in (day_name(whose), packed_name(whose))]
    rows = np.empty((len(keys), LAYOUTS[whose].width), np.int64)
    with tqdm(total=len(keys), desc=f"{whose_name(whose)} snapshot", unit="profile", delay=2, mininterval=1) as progress:
        for first in range(0, len(keys), READ_AT_ONCE):
            some = keys[first : first + READ_AT_ONCE]
            read = store.get_online_features(asked, [{whose_name(whose): key} for key in some.tolist()]).to_dict()
            other = sum(seen != day for seen in read[day_name(whose)])
            if other:
                raise HistoryError(
                    f"online store: {other} of {len(some)} {whose_name(whose)} profiles are not of {date_of(day)}; "
                    f"remove {folder / _MARK} and run `burana features materialise` again"
                )
            rows[first : first + len(some)] = sources.unpacked(read[packed_name(whose)], whose)
            progress.update(len(some))
    return PackedProfiles.of(whose, keys, np.full(len(keys), day), rows)


def _runs(days: Sequence[int]) -> Iterator[list[int]]:
    """At most DAYS_AT_ONCE days that follow one another without a gap."""
    run: list[int] = []
    for day in days:
        if run and (day != run[-1] + 1 or len(run) == DAYS_AT_ONCE):
            yield run
            run = []
        run.append(day)
    if run:
        yield run


def _stores(folder: Path) -> str:
    """Stands for the configured stores: another online store has to be filled anew."""
    return hashlib.sha256((folder / CONFIGURATION).read_bytes()).hexdigest()


def _marked(mark: Path) -> object:
    """What a mark says; None where there is none, or one that a loss of power left without its content."""
    try:
        return json.loads(mark.read_text())
    except (FileNotFoundError, ValueError):
        return None
