"""Profiles are declared once, compared by one function, and missing is never zero."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from domain import instants
from domain.errors import DeclarationError, StateError
from features.layout import MISSING, WORDS, Fact, Word
from features.packed_profiles import PackedProfiles, Profiles, newest, snapshot_folder
from features.profile_language import Bins, Different, OverQuantile, ProfileFeature, Share, Usual, UsualShare, Whose, steps
from features.profiles import (
    LAYOUTS,
    PROFILE_FEATURES,
    PROFILE_LAG_MS,
    PROFILE_NAMES,
    date_of,
    day_of,
    due_days,
    end_of,
    known_from,
)

REPOSITORY = Path(__file__).parents[2]
OFFSET = 6 * instants.HOUR
DAY = day_of(date(2026, 11, 20))
CUSTOMER, RECIPIENT, DEVICE = 11, 22, 33


def row(at: int = known_from(DAY), **words: int) -> np.ndarray:
    values = np.full((1, WORDS), MISSING, np.int64)
    given = {"TIME": at, "ZONE_OFFSET": OFFSET, "FACTS": int(Fact.OPERATION), "AMOUNT": 500, "KIND": 2, "CUSTOMER": CUSTOMER}
    for name, value in {**given, **words}.items():
        values[0, Word[name]] = value
    return values


def profile(whose: Whose, **fields: list[int]) -> np.ndarray:
    layout = LAYOUTS[whose]
    packed = np.zeros((1, layout.width), np.int64)
    for name, values in fields.items():
        packed[0, layout.offsets[name] : layout.offsets[name] + len(values)] = values
    return packed


def profiles(**fields: list[int]) -> Profiles:
    """Of one customer, of one day."""
    packed = PackedProfiles.of(Whose.CUSTOMER, np.array([CUSTOMER]), np.array([DAY]), profile(Whose.CUSTOMER, **fields))
    return Profiles(packed, PackedProfiles.none(Whose.RECIPIENT), PackedProfiles.none(Whose.DEVICE))


def value(name: str, operation: np.ndarray, seen: Profiles) -> float:
    return float(seen.values(operation)[0, PROFILE_NAMES.index(name)])


def hours(counts: dict[int, int]) -> list[int]:
    return [counts.get(hour, 0) for hour in range(24)]


def test_names_follow_from_the_declarations() -> None:
    assert PROFILE_NAMES[0] == "customer_profile_active_days_90d"
    assert "customer_profile_hour_around_1_share_90d" in PROFILE_NAMES
    assert "recipient_profile_customer_distinct_90d" in PROFILE_NAMES
    assert len(set(PROFILE_NAMES)) == len(PROFILE_NAMES) == len(PROFILE_FEATURES)


def test_every_feature_says_what_it_means_in_which_unit_for_which_criterion() -> None:
    for feature in PROFILE_FEATURES:
        assert feature.meaning and feature.unit and feature.serves.value.startswith("R")


def test_an_operation_without_a_profile_has_missing_values_never_zeros() -> None:
    assert np.isnan(Profiles.none().values(row())).all()
    assert np.isnan(profiles(operations=[3]).values(row(CUSTOMER=CUSTOMER + 1))).all()
    assert np.isnan(profiles(operations=[3]).values(row(CUSTOMER=MISSING))).all()


def test_a_profile_counts_from_three_hours_after_its_day_for_one_day() -> None:
    seen = profiles(active_days=[4], operations=[8])
    name = "customer_profile_active_days_90d"
    assert known_from(DAY) == end_of(DAY) + PROFILE_LAG_MS
    assert np.isnan(value(name, row(known_from(DAY) - 1), seen))
    assert value(name, row(known_from(DAY)), seen) == 4
    assert value(name, row(known_from(DAY + 1) - 1), seen) == 4
    assert np.isnan(value(name, row(known_from(DAY + 1)), seen))
    assert due_days(row(known_from(DAY))).tolist() == [DAY]
    assert date_of(DAY) == date(2026, 11, 20)


def test_the_share_of_an_hour_and_of_its_neighbours_goes_round_midnight() -> None:
    seen = profiles(operations=[8], hours=hours({23: 1, 0: 2, 1: 4, 12: 1}))
    midnight = row(end_of(DAY + 1) - instants.DAY + instants.DAY)  # 00:00 local, the profile of DAY is still due
    assert value("customer_profile_hour_share_90d", midnight, seen) == 2 / 8
    assert value("customer_profile_hour_around_1_share_90d", midnight, seen) == 7 / 8


def test_the_weekday_is_the_local_one() -> None:
    saturday = [0, 0, 0, 0, 0, 3, 0]  # 2026-11-21, the day after DAY
    assert value("customer_profile_weekday_share_90d", row(), profiles(operations=[4], weekdays=saturday)) == 3 / 4


def test_an_amount_is_compared_with_all_amounts_and_with_those_of_its_kind() -> None:
    of_kind = [MISSING] * 6 + [250, 500, 1000]
    seen = profiles(operations=[4], amounts=[100, 400, 1000], amounts_of_kind=of_kind)
    assert value("customer_profile_amount_over_p50_90d", row(), seen) == 5
    assert value("customer_profile_amount_over_p90_of_kind_90d", row(), seen) == 1
    assert np.isnan(value("customer_profile_amount_over_p50_of_kind_90d", row(KIND=0), seen))


def test_nothing_divides_by_a_quantile_of_zero() -> None:
    assert np.isnan(value("customer_profile_amount_over_p50_90d", row(), profiles(operations=[1], amounts=[0, 0, 0])))


def test_a_value_that_is_not_usual_has_a_share_of_zero_and_one_that_is_not_given_none() -> None:
    keys = [7, 8, *[MISSING] * 14]
    seen = profiles(operations=[5], usual_recipient=[4, 2, *keys, 3, 1, *[0] * 14])
    name = "customer_profile_recipient_share_90d"
    assert value(name, row(RECIPIENT=7), seen) == 3 / 4
    assert value(name, row(RECIPIENT=9), seen) == 0
    assert np.isnan(value(name, row(), seen))
    assert np.isnan(value("customer_profile_device_share_90d", row(DEVICE=5), seen))
    assert value("customer_profile_recipient_distinct_90d", row(), seen) == 2


def test_one_row_and_many_rows_give_the_same_bits() -> None:
    random = np.random.default_rng(5)
    seen = Profiles(*(some(whose, random) for whose in Whose))
    rows = np.concatenate([
        row(int(known_from(DAY) + random.integers(instants.DAY)), CUSTOMER=k % 9, RECIPIENT=k % 7, DEVICE=k % 5, AMOUNT=k, KIND=k % 10)
        for k in range(200)
    ])  # fmt: skip
    many = seen.values(rows)
    single = np.concatenate([seen.values(rows[i : i + 1]) for i in range(len(rows))])
    assert many.tobytes() == single.tobytes()
    assert 0 < np.isnan(many).mean() < 1
    wide = np.zeros((len(rows), 5 + len(PROFILE_NAMES)))
    seen.values(rows, wide[:, 5:])
    assert wide[:, 5:].tobytes() == many.tobytes()


def some(whose: Whose, random: np.random.Generator) -> PackedProfiles:
    keys = np.arange(6)
    rows = random.integers(0, 20, (6, LAYOUTS[whose].width))
    return PackedProfiles.of(whose, keys, np.full(6, DAY), rows)


def test_a_profile_is_found_by_key_and_day_and_the_later_of_two_equals_stays() -> None:
    rows = np.arange(4)[:, None] + np.zeros((4, LAYOUTS[Whose.DEVICE].width), np.int64)
    packed = PackedProfiles.of(Whose.DEVICE, np.array([5, -5, 5, 5]), np.array([2, 9, 1, 2]), rows)
    found = packed.find(np.array([5, 5, -5, 5, 6, MISSING]), np.array([1, 2, 9, 3, 1, 1]))
    assert found.tolist() == [1, 2, 0, -1, -1, -1]
    assert packed.rows[:, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_profiles_come_back_from_their_folder_to_the_bit(tmp_path: Path, share: float) -> None:
    seen = profiles(operations=[8], hours=hours({9: 8}))
    for day in ("2026-11-19", "2026-11-20"):
        seen.save(snapshot_folder(tmp_path) / day)
    back = Profiles.load(snapshot_folder(tmp_path) / "2026-11-20", share)
    assert back.values(row()).tobytes() == seen.values(row()).tobytes()
    assert (back.last_day, back.created_at) == (DAY, seen.created_at)
    assert newest(tmp_path) == snapshot_folder(tmp_path) / "2026-11-20"
    assert newest(tmp_path / "nowhere") is None


def test_profiles_of_other_declarations_or_damaged_ones_are_refused(tmp_path: Path) -> None:
    profiles(operations=[8]).save(tmp_path / "day")
    header = tmp_path / "day" / "header.json"
    written = header.read_text()
    header.write_text(written.replace('"declarations": "', '"declarations": "0'))
    with pytest.raises(StateError, match="materialise"):
        Profiles.load(tmp_path / "day")
    header.write_text(written)
    (tmp_path / "day" / "customer_rows.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(StateError, match="snapshot"):
        Profiles.load(tmp_path / "day")
    stated = json.loads(written)
    del stated["sha256"]["customer_rows.npy"]
    header.write_text(json.dumps(stated))
    with pytest.raises(StateError, match=r"customer_rows\.npy is not the file that its header states"):
        Profiles.load(tmp_path / "day")


@pytest.mark.parametrize(
    "other", [lambda rows: rows.astype(np.int32), np.asfortranarray], ids=["of 32 bits", "column after column"]
)
def test_rows_that_are_not_read_as_they_lie_are_refused(other: Callable[[np.ndarray], np.ndarray]) -> None:
    part = PackedProfiles.none(Whose.CUSTOMER)
    rows = np.zeros((2, part.rows.shape[1]), np.int64)
    with pytest.raises(StateError, match="allowed int64, row after row"):
        replace(part, keys=np.arange(2), days=np.arange(2), rows=other(rows))


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (ProfileFeature(Whose.DEVICE, OverQuantile(50)), "this profile holds active_days, operations"),
        (ProfileFeature(Whose.CUSTOMER, OverQuantile(75)), "allowed 50, 90, 99"),
        (ProfileFeature(Whose.CUSTOMER, Share(Bins.WEEKDAY, around=4)), "allowed 0 to 3"),
        (ProfileFeature(Whose.CUSTOMER, Different(Word.AGENT)), "not usual_agent"),
    ],
)
def test_a_wrong_declaration_is_told_its_place_and_what_is_allowed(feature: ProfileFeature, message: str) -> None:
    with pytest.raises(DeclarationError, match=message) as error:
        steps([feature], LAYOUTS)
    assert feature.name in str(error.value)


def test_reading_profiles_imports_neither_polars_nor_feast() -> None:
    program = "import sys, features.packed_profiles, features.feature_set; print([m for m in ('polars', 'feast', 'pandas') if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_a_feature_declared_twice_is_refused() -> None:
    feature = ProfileFeature(Whose.CUSTOMER, UsualShare(Word.DEVICE))
    with pytest.raises(DeclarationError, match="declared twice: customer_profile_device_share_90d"):
        steps([feature, feature], LAYOUTS)


def test_the_name_of_a_field_of_usual_values_does_not_depend_on_how_many_are_kept() -> None:
    assert Usual(Word.DEVICE, 4).name == Usual(Word.DEVICE, 0).name == "usual_device"
