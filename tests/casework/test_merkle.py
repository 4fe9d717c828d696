"""The tree of RFC 9162, against its definition written out, and its proofs against the RFC's way of checking them."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casework.merkle import EMPTY, Tree, node, root_of


def leaves(count: int) -> list[bytes]:
    return [hashlib.sha256(b"\0" + str(number).encode()).digest() for number in range(count)]


def defined(of: list[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1, of hashes of leaves."""
    if not of:
        return hashlib.sha256(b"").digest()
    if len(of) == 1:
        return of[0]
    k = 1
    while 2 * k < len(of):
        k *= 2
    return hashlib.sha256(b"\1" + defined(of[:k]) + defined(of[k:])).digest()


def included(leaf: bytes, place: int, size: int, path: list[bytes]) -> bytes:
    """The root that a proof of inclusion leads to: RFC 9162, 2.1.3.2."""
    fn, sn, r = place, size - 1, leaf
    for p in path:
        assert sn > 0
        if fn & 1 or fn == sn:
            r = node(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node(r, p)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return r


def grown(older: int, newer: int, path: list[bytes], root: bytes) -> tuple[bytes, bytes]:
    """The two roots that a proof of consistency leads to: RFC 9162, 2.1.4.2. root: the older one."""
    if older & (older - 1) == 0:
        path = [root, *path]
    fn, sn = older - 1, newer - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        assert sn > 0
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return fr, sr


def test_the_roots_of_the_known_vectors() -> None:
    """Those of RFC 6962's reference implementation, whose tree is the same."""
    data = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        bytes(range(0x50, 0x58)),
        bytes(range(0x60, 0x70)),
    ]
    tree = Tree(b"".join(hashlib.sha256(b"\0" + one).digest() for one in data))
    assert tree.root(1).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert tree.root(8).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@pytest.mark.parametrize("size", [*range(34), 63, 64, 65, 127, 129])
def test_the_root_is_the_defined_one_at_every_size_and_every_proof_leads_to_it(size: int) -> None:
    all_ = leaves(size)
    tree = Tree(b"".join(all_))
    assert tree.root() == defined(all_) == root_of(b"".join(all_))
    for place in range(size):
        assert included(all_[place], place, size, tree.inclusion(place, size)) == tree.root()
    for older in range(1, size):
        roots = tree.root(older), tree.root()
        assert grown(older, size, tree.consistency(older, size), roots[0]) == roots
    if size:
        assert tree.consistency(size, size) == []


@given(parts=st.lists(st.integers(0, 40), max_size=8))
def test_a_tree_that_grows_is_the_tree_made_at_once(parts: list[int]) -> None:
    all_ = leaves(sum(parts))
    tree, done = Tree(), 0
    for part in parts:
        tree.extend(b"".join(all_[done : done + part]))
        done += part
    assert [tree.root(size) for size in range(done + 1)] == [defined(all_[:size]) for size in range(done + 1)]


def test_what_is_not_in_the_tree_has_no_proof() -> None:
    tree = Tree(b"".join(leaves(5)))
    assert Tree().root() == EMPTY
    for place, size in ((5, 5), (-1, 5), (0, 6), (0, 0)):
        with pytest.raises(ValueError, match=r"allowed|is not in"):
            tree.inclusion(place, size)
    for older, newer in ((0, 5), (6, 6), (3, 2)):
        with pytest.raises(ValueError, match=r"allowed|has none"):
            tree.consistency(older, newer)
