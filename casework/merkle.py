"""The tree over a log (RFC 9162): one root that stands for all leaves, and short proofs that a leaf is in it and that it only grew.

A leaf's hash is made with a zero byte before it (`casework.audit_form.leaf`), a node's with a byte of 1, so that neither can be
taken for the other.
"""

import hashlib

HASH = 32
EMPTY = hashlib.sha256(b"").digest()
"""The root of no leaves."""


def node(left: bytes, right: bytes) -> bytes:
    """The hash over two hashes."""
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(leaves: bytes) -> bytes:
    """The root over hashes of leaves, one after another."""
    return Tree(leaves).root()


class Tree:
    """Hashes of leaves in order, and of every full subtree above them: 64 bytes a leaf. Sizes and places are counted in leaves."""

    def __init__(self, leaves: bytes = b"") -> None:
        self._levels = [bytearray()]
        self.extend(leaves)

    def __len__(self) -> int:
        return len(self._levels[0]) // HASH

    def extend(self, leaves: bytes) -> None:
        """Add hashes of leaves, one after another."""
        self._levels[0] += leaves
        for height, below in enumerate(self._levels):
            if len(below) < 2 * HASH:
                break
            if height + 1 == len(self._levels):
                self._levels.append(bytearray())
            _complete(below, self._levels[height + 1])

    def root(self, size: int | None = None) -> bytes:
        """The root over the first `size` leaves, or all of them."""
        return self._over(0, len(self) if size is None else self._within(size))

    def inclusion(self, place: int, size: int) -> list[bytes]:
        """The proof that the leaf at a place, from 0, is in the tree of a size (RFC 9162, 2.1.3.1)."""
        if not 0 <= place < self._within(size):
            raise ValueError(f"place {place} is not in a tree of {size}")
        begin, end, path = 0, size, list[bytes]()
        while end - begin > 1:
            middle = begin + _split(end - begin)
            if place < middle:
                path.append(self._over(middle, end))
                end = middle
            else:
                path.append(self._over(begin, middle))
                begin = middle
        return path[::-1]

    def consistency(self, older: int, newer: int) -> list[bytes]:
        """The proof that the tree of a newer size begins with that of an older one (RFC 9162, 2.1.4.1)."""
        if not 0 < older <= self._within(newer):
            raise ValueError(f"a tree of {newer} has none of {older} in it")
        begin, end, path = 0, newer, list[bytes]()
        while older < end:
            middle = begin + _split(end - begin)
            if older <= middle:
                path.append(self._over(middle, end))
                end = middle
            else:
                path.append(self._over(begin, middle))
                begin = middle
        return [self._over(begin, end)] * (begin > 0) + path[::-1]

    def _within(self, size: int) -> int:
        if not 0 <= size <= len(self):
            raise ValueError(f"size {size}: allowed 0 to {len(self)}")
        return size

    def _over(self, begin: int, end: int) -> bytes:
        """The hash over leaves from one place to before another; where it begins it is full, as in every proof."""
        count = end - begin
        if count == 0:
            return EMPTY
        if count & (count - 1) == 0:
            height = count.bit_length() - 1
            at = (begin >> height) * HASH
            return bytes(self._levels[height][at : at + HASH])
        middle = begin + _split(count)
        return node(self._over(begin, middle), self._over(middle, end))


def _split(count: int) -> int:
    """The largest power of two below a count."""
    return 1 << (count - 1).bit_length() - 1


def _complete(below: bytearray, above: bytearray) -> None:
    """Add the nodes over pairs that have none yet."""
    sha256 = hashlib.sha256
    made = [sha256(b"\1" + below[at : at + 2 * HASH]).digest() for at in range(2 * len(above), len(below) - HASH, 2 * HASH)]
    above += b"".join(made)
