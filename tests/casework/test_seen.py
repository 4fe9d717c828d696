"""The filter of recorded ids never forgets one, and seldom takes a new one for an old one."""

from hashlib import blake2b

from hypothesis import given
from hypothesis import strategies as st

from casework.seen import LEAST_IDS, Seen


def hash_of(number: int) -> bytes:
    return blake2b(number.to_bytes(8, "little"), digest_size=16).digest()


@given(st.lists(st.binary(min_size=16, max_size=16)), st.lists(st.binary(min_size=16, max_size=16)))
def test_what_was_added_one_by_one_or_together_is_never_taken_for_new(one_by_one, together):
    seen = Seen(LEAST_IDS)
    for hash_ in one_by_one:
        seen.add(hash_)
    seen.add_many(b"".join(together))
    assert all(map(seen.may_have, one_by_one + together))
    assert len(seen) == len(one_by_one) + len(together)


def test_one_by_one_and_together_are_the_same_filter():
    single, many = Seen(LEAST_IDS), Seen(LEAST_IDS)
    hashes = [hash_of(number) for number in range(1000)]
    for hash_ in hashes:
        single.add(hash_)
    many.add_many(b"".join(hashes))
    asked = [hash_of(number) for number in range(100_000)]
    assert [single.may_have(hash_) for hash_ in asked] == [many.may_have(hash_) for hash_ in asked]


def test_an_empty_filter_takes_everything_for_new():
    assert not Seen(LEAST_IDS).may_have(hash_of(1))


def test_a_full_filter_looks_up_few_new_ids_for_nothing():
    seen = Seen(LEAST_IDS)
    seen.add_many(b"".join(map(hash_of, range(seen.capacity))))
    wrong = sum(seen.may_have(hash_of(number)) for number in range(10**7, 10**7 + 20_000))
    assert wrong < 0.02 * 20_000, wrong
