"""Every declared feature answers to the naive oracle, and batch and online are one engine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import StateError
from features import kernel
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.engine import Engine
from features.language import (
    ANY,
    Changed,
    Count,
    Declaration,
    Deviation,
    Distance,
    Distinct,
    Entropy,
    Feature,
    Group,
    IsLater,
    IsNew,
    Max,
    Mean,
    Min,
    OverMax,
    OverMean,
    Own,
    Pace,
    Ratio,
    SameCount,
    SameShare,
    Share,
    SinceEarliest,
    SinceFirst,
    SinceLast,
    SinceNth,
    SinceSame,
    Speed,
    Steps,
    Sum,
    Where,
    ZScore,
    days,
    fact,
    marked,
    minutes,
)  # fmt: skip
from features.layout import MISSING, WORDS, Column, Fact, Slot, Word, space_of
from features.plan import MAX_DISTINCT, Plan
from tests.oracle import Oracle

SENT, RECEIVED = Where("sent", Fact.OPERATION | Fact.SENDING), Where("received", Fact.OPERATION | Fact.RECEIVING)
GENUINE, FAILED, FOREIGN = (
    fact("genuine", Fact.GENUINE_KNOWN),
    fact("failed", Fact.LOGIN_FAILED),
    fact("foreign", Fact.FOREIGN),
)
NEW_DEVICE = marked("new_device", Feature(Slot.CUSTOMER, IsNew(Column.DEVICE), SENT), 0.5)
LARGE = marked("large", Feature(Slot.RECIPIENT, OverMean(), RECEIVED, days(7)), 1.5)
ALIKE = Group("alike", (Column.CUSTOMER, Column.BAND))


def _every_aggregate() -> list[Declaration]:
    """Every aggregate, over accounts, customers and a group, in a short, a long and the longest window, with marks."""
    made: list[Declaration] = []
    for by, where in (
        (Slot.SENDER, SENT),
        (Slot.RECIPIENT, RECEIVED),
        (Slot.CUSTOMER, SENT & NEW_DEVICE),
        (ALIKE, SENT & ~FOREIGN),
    ):
        for over in (minutes(1), days(7)):
            made += [
                Feature(by, how, where, over)
                for how in (
                    Count(),
                    Sum(),
                    Mean(),
                    Max(),
                    Min(),
                    Deviation(),
                    ZScore(),
                    OverMean(),
                    OverMax(),
                    Share(LARGE),
                    Share(~FOREIGN if where.excludes == Fact(0) else LARGE & FOREIGN) if by is not ALIKE else Pace(days(9)),
                    Pace(days(30)),
                    Distinct(Column.DEVICE),
                    Distinct(Column.HOUR),
                    SameShare(Column.HOUR),
                    Entropy(Column.KIND),
                )
            ]
        made += [Feature(by, how, where) for how in (Max(), Min(), Sum(), Distinct(Column.RECIPIENT), Entropy(Column.HOUR))]
        made += [
            Feature(by, how, where, missing=-1.0)
            for how in (SinceLast(), SinceEarliest(), IsLater(GENUINE), SinceNth(2), SinceNth(5), IsNew(Column.CATEGORY), SameShare(Column.CATEGORY),
                        SameCount(Column.FUNDING), SinceSame(Column.FUNDING), Changed(Column.COUNTRY), Distance(), Speed())
        ]  # fmt: skip
        made += [Feature(by, SinceFirst(), ANY), Feature(by, Steps("scheme", (FAILED, SENT, SENT & LARGE)), ANY, days(7))]
        made.append(Ratio(Feature(by, Sum(), where, days(7)), Feature(by, Count(), GENUINE)))
    made += [
        Feature(Slot.CUSTOMER, Sum(), SENT, days(over)) for over in range(10, 20)
    ]  # windows beyond those looked at together
    return made


EVERY = _every_aggregate()
PLAN = Plan(DEFINITIONS, RETAINED_ARRIVALS)
SHORT = Plan(DEFINITIONS, 16)
WIDE = Plan(EVERY, 1024)
WIDE_SHORT = Plan(EVERY, 8)
PLANS = pytest.mark.parametrize(
    "plan",
    [PLAN, SHORT, WIDE, WIDE_SHORT],
    ids=["declared", "declared, 16 retained", "every aggregate", "every aggregate, 8 retained"],
)
ROUNDED = ("entropy", "distance", "speed")
START = 1_750_000_000_000
STEPS = (0, 0, 1, 999, 60_000, 3_599_999, 3_600_000, 86_400_000, days(6), days(7) - 1, days(30), -60_000, -days(2))


def key(high: int) -> st.SearchStrategy[int]:
    return st.one_of(st.just(MISSING), st.integers(0, high), st.integers(0, high))


@st.composite
def arrivals(draw: st.DrawFn) -> list[list[int]]:
    """Small crowded histories: ties, late arrivals, self-payments, unknown entities, outcomes of earlier operations."""
    rows: list[list[int]] = []
    time = START
    for _ in range(draw(st.integers(1, 40))):
        time += draw(st.sampled_from(STEPS))
        earlier = [row for row in rows if row[Word.FACTS] & Fact.OPERATION]
        if earlier and draw(st.integers(0, 3)) == 0:
            row = list(draw(st.sampled_from(earlier)))
            known = draw(st.sampled_from((Fact.FRAUD_KNOWN, Fact.GENUINE_KNOWN)))
            row[Word.FACTS] = row[Word.FACTS] & ~int(Fact.OPERATION) | int(known)
        else:
            row = [draw(key(3)) for _ in range(WORDS)]
            facts = draw(st.sampled_from(list(Fact))) | draw(
                st.sampled_from((Fact.LOCATED, Fact.LOCATED | Fact.FOREIGN, Fact.LOCATED | Fact.LOGIN_FAILED))
            )
            role = Fact.OPERATION if draw(st.integers(0, 3)) else Fact(0)
            row[Word.FACTS] = int((facts & ~(Fact.SENDING | Fact.RECEIVING | Fact.NIGHT)) | role)
            row[Word.LATITUDE] = draw(st.sampled_from((MISSING, -90_000_000, 0, 42_870_000, 42_870_001, 90_000_000)))
            row[Word.LONGITUDE] = draw(st.sampled_from((MISSING, -180_000_000, 0, 74_590_000, 179_999_999)))
            if MISSING in row[Word.LATITUDE :]:
                row[Word.FACTS] &= ~int(Fact.LOCATED)
            row[Word.AMOUNT] = draw(st.sampled_from((0, 1, 99, 10_000, 123_456_789, 10**12)))
            row[Word.KIND] = draw(st.integers(0, 9))
            row[Word.ZONE_OFFSET] = 6 * 3_600_000
        row[Word.TIME] = time
        rows.append(row)
    return rows


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.array_equal(np.isnan(a), np.isnan(b)) and np.array_equal(a[~np.isnan(a)], b[~np.isnan(b)]))


def agree(plan: Plan, seen: np.ndarray, wanted: np.ndarray) -> bool:
    """The same bits; what the kernel makes of a table or a series, to nine digits."""
    rounded = np.array([any(word in name for word in ROUNDED) for name in plan.names])
    close = np.allclose(seen[rounded], wanted[rounded], rtol=1e-9, atol=1e-6, equal_nan=True)
    return bool(close) and same_bits(seen[~rounded], wanted[~rounded])


def explain(plan: Plan, seen: np.ndarray, wanted: np.ndarray) -> str:
    return ", ".join(
        f"{n}: {a} is not {b}"
        for n, a, b in zip(plan.names, seen, wanted, strict=True)
        if not same_bits(np.array([a]), np.array([b]))
    )


@PLANS
@settings(max_examples=40, deadline=None)
@given(rows=arrivals())
def test_every_feature_equals_the_naive_one(plan: Plan, rows: list[list[int]]) -> None:
    oracle, engine = Oracle(plan.declarations, plan.retained), Engine(plan)
    for row in rows:
        seen, wanted = engine.read(row), np.array(oracle.vector(row))
        assert agree(plan, seen, wanted), explain(plan, seen, wanted)
        oracle.apply(row)
        engine.apply(row)


@PLANS
@settings(max_examples=40, deadline=None)
@given(rows=arrivals())
def test_batch_equals_online_bit_for_bit(plan: Plan, rows: list[list[int]]) -> None:
    online, batch = Engine(plan), Engine(plan)
    matrix = np.empty((len(rows), len(plan)))
    batch.replay(np.array(rows), matrix, np.arange(len(rows)))
    for row, expected in zip(rows, matrix, strict=True):
        assert online.read(row).tobytes() == expected.tobytes()
        online.apply(row)


def test_a_feature_alone_has_the_bits_that_it_has_among_all() -> None:
    for declared in (DEFINITIONS, EVERY):
        random = np.random.default_rng(11)
        rows = random.integers(0, 6, (300, WORDS))
        rows[:, Word.TIME] = START + np.cumsum(random.integers(0, 7_200_000, 300))
        rows[:, Word.FACTS] = random.choice([Fact.OPERATION] * 4 + [Fact.LOGIN_FAILED, Fact.FRAUD_KNOWN], 300)
        whole = np.empty((300, len(declared)))
        Engine(Plan(declared, 128)).replay(rows, whole, np.arange(300))
        for place, declaration in enumerate(declared):
            if not isinstance(declaration, Own):
                alone = np.empty((300, 1))
                Engine(Plan([declaration], 128)).replay(rows, alone, np.arange(300))
                assert alone[:, 0].tobytes() == np.ascontiguousarray(whole[:, place]).tobytes(), declaration.name


@settings(max_examples=40, deadline=None)
@given(rows=arrivals(), other=arrivals())
def test_reading_is_pure_also_when_it_looks_far_ahead(rows: list[list[int]], other: list[list[int]]) -> None:
    disturbed, quiet = Engine(SHORT), Engine(SHORT)
    for row, question in zip(rows, other * len(rows), strict=False):
        ahead = list(question)
        ahead[Word.TIME] += days(40)
        disturbed.read(ahead)
        assert disturbed.read(row).tobytes() == quiet.read(row).tobytes()
        disturbed.apply(row)
        quiet.apply(row)


@settings(max_examples=25, deadline=None)
@given(rows=arrivals(), cut=st.integers(0, 40))
def test_a_snapshot_continues_where_it_was_taken(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[int]], cut: int
) -> None:
    path = tmp_path_factory.mktemp("snapshot") / "state.npz"
    whole = Engine(SHORT)
    for row in rows[:cut]:
        whole.apply(row)
    whole.snapshot(path, sequence=cut)
    restored, notes = Engine.restore(SHORT, path)
    assert notes == {"sequence": cut} and restored.applied == whole.applied
    for row in rows[cut:]:
        assert restored.read(row).tobytes() == whole.read(row).tobytes()
        restored.apply(row)
        whole.apply(row)


def test_a_snapshot_of_other_features_is_refused(tmp_path) -> None:
    Engine(SHORT).snapshot(tmp_path / "state.npz")
    with pytest.raises(StateError, match="was made by features"):
        Engine.restore(PLAN, tmp_path / "state.npz")


def test_a_damaged_snapshot_is_refused(tmp_path) -> None:
    (tmp_path / "state.npz").write_bytes(b"not a snapshot")
    with pytest.raises(StateError, match="not a readable snapshot"):
        Engine.restore(PLAN, tmp_path / "state.npz")


def test_a_snapshot_of_a_release_that_lays_out_records_otherwise_is_refused(tmp_path, monkeypatch) -> None:
    Engine(SHORT).snapshot(tmp_path / "state.npz")
    monkeypatch.setattr(kernel, "LAYOUT", kernel.LAYOUT ^ 1)
    monkeypatch.setattr(kernel, "compiled_layout", lambda: kernel.LAYOUT)
    with pytest.raises(StateError, match="lays records out in another way"):
        Engine.restore(SHORT, tmp_path / "state.npz")


@pytest.mark.parametrize("name", ["meta", "log", "pool", "directory", "pairs"])
@pytest.mark.parametrize("damage", [lambda words: words[:-1], lambda words: words.astype(float)], ids=["short", "floats"])
def test_a_snapshot_with_a_damaged_buffer_is_refused(tmp_path, name, damage) -> None:
    path = tmp_path / "state.npz"
    engine = Engine(SHORT)
    for row in crowded(50):
        engine.apply(row)
    engine.snapshot(path)
    with np.load(path) as file:
        arrays = {each: damage(file[each]) if each == name else file[each] for each in file.files}
    np.savez(path, **arrays)
    with pytest.raises(StateError, match="not a readable snapshot"):
        Engine.restore(SHORT, path)


def crowded(count: int) -> list[list[int]]:
    """Operations of few entities, a minute apart."""
    random = np.random.default_rng(5)
    rows = random.integers(0, 9, (count, WORDS))
    rows[:, Word.TIME], rows[:, Word.FACTS] = START + np.arange(count) * 60_000, Fact.OPERATION
    return rows.tolist()


def test_records_beyond_two_gigawords_are_as_any_others() -> None:
    """An entity's number takes the upper half of a link, its last bit included: eviction finds it as well."""
    near, far = Engine(SHORT), Engine(SHORT, rows=2**23)
    far._meta[kernel.M_POOL] = 2**31 - 1_000 & ~7  # as if so many records were taken; memory is taken when it is touched
    for row in crowded(200):
        assert far.read(row).tobytes() == near.read(row).tobytes()
        near.apply(row)
        far.apply(row)
    assert far._meta[kernel.M_POOL] > 2**31 and far.entities == near.entities


def test_a_damaged_row_writes_nowhere_but_into_its_own_records() -> None:
    """A kind or an amount that no encoder makes, such as from a damaged file, leaves all others' features as they are."""
    damaged, quiet = Engine(WIDE), Engine(WIDE)
    for i, row in enumerate(crowded(60)):
        for word, value in ((Word.KIND, 2**40 + 3 if i % 2 else -5), (Word.AMOUNT, -1 if i % 3 else 2**62)):
            bad = [MISSING if Word.SENDER <= w < Word.LATITUDE else value_ for w, value_ in enumerate(row)]
            bad[Word.SENDER] = bad[Word.CUSTOMER] = 10**6
            bad[word] = value
            damaged.apply(bad)
            bad[Word.KIND], bad[Word.AMOUNT] = 0, 0
            quiet.apply(bad)
        assert damaged.read(row).tobytes() == quiet.read(row).tobytes()
        damaged.apply(row)
        quiet.apply(row)


def test_memory_is_bounded_by_the_arrivals_retained() -> None:
    """Ten thousand arrivals of ever new entities in a log of 256: the state stops growing."""
    plan = Plan(DEFINITIONS, 256)
    engine = Engine(plan)
    sizes = []
    for i in range(10_000):
        row = [i * 20 + word for word in range(WORDS)]
        row[Word.TIME], row[Word.FACTS], row[Word.AMOUNT] = START + i, int(Fact.OPERATION), i
        row[Word.ZONE_OFFSET] = row[Word.KIND] = 0
        row[Word.LATITUDE] = row[Word.LONGITUDE] = MISSING
        engine.apply(row)
        sizes.append(engine.nbytes)
    assert sizes[-1] == sizes[2_000]
    assert engine.entities == 256 * len(set(plan.slots) - {-1})


def test_however_hashes_fall_the_table_of_pairs_is_doubled_before_its_end_is_reached() -> None:
    """Recipients whose pairs with one customer would all stand behind the last home of the table."""
    plan = Plan([Feature(Slot.CUSTOMER, IsNew(Column.RECIPIENT), SENT)], 2**16)
    engine = Engine(plan)
    shift, customer = int(engine._meta[kernel.M_PAIRS_SHIFT]), payment_to(1)[Word.CUSTOMER]
    tag = kernel._tag(kernel._entity_hash(customer, space_of(Slot.CUSTOMER)), 0)
    last = (1 << 64 - shift) - 1
    falling = (value for value in range(2**30) if kernel._home(kernel._pair_hash(tag, value), shift) == last)
    recipients = [next(falling) for _ in range(kernel.BEYOND // 2 + 10)]
    for recipient in recipients:
        engine.apply(payment_to(recipient))
    assert engine._meta[kernel.M_PAIRS_SHIFT] < shift, "doubled, though a third of its homes would have held them"
    assert [engine.read(payment_to(recipient)).tolist() for recipient in recipients] == [[0.0]] * len(recipients)


def test_a_table_of_pairs_that_cannot_be_doubled_is_said_so_and_not_written_beside() -> None:
    engine = Engine(Plan([Feature(Slot.CUSTOMER, IsNew(Column.RECIPIENT), SENT)], 2**12))
    behind = (1 << 64 - int(engine._meta[kernel.M_PAIRS_SHIFT])) + kernel.BEYOND // 2
    pairs = engine._buffers[kernel.Buffer.PAIRS]
    pairs[behind * kernel.PAIR_WORDS : (behind + 1) * kernel.PAIR_WORDS] = -1, 1  # as if hashes fell there, doubled or not
    with pytest.raises(StateError, match="1 entities or 1 pairs is full"):
        for _ in range(3):
            engine.apply(payment_to(1))
            behind = (1 << 64 - int(engine._meta[kernel.M_PAIRS_SHIFT])) + kernel.BEYOND // 2
            pairs[behind * kernel.PAIR_WORDS : (behind + 1) * kernel.PAIR_WORDS] = -1, 1


def payment_to(recipient: int) -> list[int]:
    row = [MISSING] * WORDS
    row[Word.TIME], row[Word.FACTS], row[Word.CUSTOMER], row[Word.RECIPIENT] = START, int(Fact.OPERATION), 1, recipient
    row[Word.ZONE_OFFSET] = row[Word.AMOUNT] = row[Word.KIND] = 0
    return row


def test_a_long_crowded_history_equals_the_oracle_through_growth_and_eviction() -> None:
    plan = Plan(DEFINITIONS, 512)
    engine, oracle = Engine(plan), Oracle(plan.declarations, plan.retained)
    random = np.random.default_rng(7)
    time = START
    for i in range(2_500):
        time += int(random.integers(0, 7_200_000))
        row = random.integers(0, 60, WORDS).tolist()
        row[Word.TIME], row[Word.AMOUNT] = time, int(random.integers(0, 10**12))
        row[Word.FACTS] = int(
            random.choice([Fact.OPERATION] * 5 + [Fact.LOGIN_FAILED, Fact.FRAUD_KNOWN, Fact.GENUINE_KNOWN])
        )
        row[Word.KIND] %= 10
        row[Word.LATITUDE] = row[Word.LONGITUDE] = MISSING
        row[Word.RECIPIENT] += 40
        if i % 25 == 0:
            seen, wanted = engine.read(row), np.array(oracle.vector(row))
            assert agree(plan, seen, wanted), explain(plan, seen, wanted)
        engine.apply(row)
        oracle.apply(row)


def test_columns_counted_as_distinct_beyond_one_word_of_bits_equal_the_oracle() -> None:
    """Of sender and recipient, of customers and of devices: 64 bits of a log row, of which 24 fit behind the small columns."""
    columns = list(Column)[:MAX_DISTINCT]
    plan = Plan(
        [
            Feature(by, Distinct(c), fact("operation", Fact.OPERATION), days(1))
            for by in (Slot.SENDER, Slot.CUSTOMER, Slot.DEVICE)
            for c in columns
        ],
        64,
    )
    engine, oracle = Engine(plan), Oracle(plan.declarations, plan.retained)
    for row in crowded(200):
        seen, wanted = engine.read(row), np.array(oracle.vector(row))
        assert agree(plan, seen, wanted), explain(plan, seen, wanted)
        engine.apply(row)
        oracle.apply(row)


@pytest.mark.parametrize(
    ("rows", "matrix", "wanted", "said"),
    [
        (np.zeros((2, WORDS), np.int32), np.empty((2, 500)), [0, 1], "rows int32"),
        (np.zeros((2, WORDS - 1), np.int64), np.empty((2, 500)), [0, 1], "rows int64"),
        (np.zeros((4, WORDS), np.int64)[::2], np.empty((2, 500)), [0, 1], "rows int64"),
        (np.zeros((2, WORDS), np.int64), np.empty((2, 5)), [0, 1], "matrix float64"),
        (np.zeros((2, WORDS), np.int64), np.empty((2, 500), np.float32), [0, 1], "matrix float32"),
        (np.zeros((2, WORDS), np.int64), np.empty((2, 500)), [0, 2], "wanted places of 2 rows up to 2"),
        (np.zeros((2, WORDS), np.int64), np.empty((2, 500)), [0], "1 wanted places of 2 rows"),
    ],
)
def test_arrays_that_the_kernel_would_go_beyond_are_refused(rows, matrix, wanted, said) -> None:
    with pytest.raises(ValueError, match=said):
        Engine(SHORT).replay(rows, matrix, np.array(wanted))


def test_a_ring_shorter_than_what_is_retained_takes_no_more_rows_than_it_holds() -> None:
    rows = np.zeros((9, WORDS), np.int64)
    with pytest.raises(ValueError, match="9 rows more than a ring of 8 holds"):
        Engine(SHORT, rows=8).replay(rows, np.empty((0, len(SHORT))), np.full(9, -1))
