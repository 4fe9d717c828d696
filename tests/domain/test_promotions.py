"""The record of champions: read as it was written, and walked back one promotion at a time."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from domain.errors import BundleError
from domain.promotions import PROMOTIONS_FILE, Promotion, champion_before, last_to, read

AT = datetime(2026, 1, 1, tzinfo=UTC)


def line_of(*steps: str) -> list[Promotion]:
    """Promotions to a, b, c ..; `<a` goes back to a."""
    return [Promotion(AT, "aigul", "why", None, step.removeprefix("<"), roll_back=step.startswith("<")) for step in steps]


@pytest.mark.parametrize(
    ("steps", "in_force", "before"),
    [
        ((), "a", None),
        (("a",), "a", None),
        (("a", "b"), "b", "a"),
        (("a", "b", "<a"), "a", None),
        (("a", "b", "c", "<b"), "b", "a"),
        (("a", "b", "c", "<b", "<a"), "a", None),
        (("a", "b", "<a", "c"), "c", "a"),
        (("a", "b", "a"), "a", "b"),
        (("a", "b"), "by hand", "b"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_each_step_back_undoes_one_promotion(steps, in_force, before):
    assert champion_before(line_of(*steps), in_force) == before


def change(before: str | None, after: str, roll_back: bool = False) -> Promotion:
    return Promotion(AT, "aigul", "why", before, after, roll_back=roll_back)


def test_a_change_that_took_no_effect_is_no_step_when_it_is_made_again():
    """A crash between the line and CHAMPION, or CHAMPION set back by hand: b is promoted from a twice."""
    assert champion_before([change(None, "a"), change("a", "b"), change("a", "b")], "b") == "a"


def test_a_champion_written_by_hand_is_a_step_like_others():
    by_hand = [change(None, "a"), change("a", "b"), change("by hand", "b", roll_back=True)]
    assert champion_before(by_hand, "b") == "a"
    assert champion_before([*by_hand, change("b", "c")], "c") == "b"
    assert champion_before([change("by hand", "a")], "a") == "by hand"


def test_a_line_says_from_and_to():
    written = msgspec.json.decode(msgspec.json.encode(Promotion(AT, "aigul", "why", "a", "b")))
    assert (written["from"], written["to"], written["by"], written["override"]) == ("a", "b", "aigul", False)


def test_the_last_change_to_a_version_counts():
    first, _, again = promotions = [
        Promotion(AT, "aigul", reason, None, to) for reason, to in (("1", "a"), ("2", "b"), ("3", "a"))
    ]
    assert last_to(promotions, "a") is again
    assert last_to(promotions[:2], "a") is first
    assert last_to(promotions, "c") is None


def test_without_a_file_there_were_no_changes(tmp_path: Path):
    assert read(tmp_path) == []


def test_a_line_without_its_end_does_not_count_and_another_damage_is_said(tmp_path: Path):
    whole = msgspec.json.encode(Promotion(AT, "aigul", "why", None, "a")) + b"\n"
    (tmp_path / PROMOTIONS_FILE).write_bytes(whole + whole[:20])
    assert [promotion.after for promotion in read(tmp_path)] == ["a"]
    (tmp_path / PROMOTIONS_FILE).write_bytes(whole[:20] + b"\n" + whole)
    with pytest.raises(BundleError, match=r"promotions.jsonl cannot be read"):
        read(tmp_path)
