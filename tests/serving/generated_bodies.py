"""Bodies that nobody wrote, from a seed: whole records, records with something else in them, and bytes disturbed.

Some come from hypothesis, which knows JSON's values; the others from plain mutations of the bytes of valid records, which know nothing
and cost a fiftieth.
"""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.serving.examples import body, event, operation, outcome

Sent = tuple[str, bytes]
SEED = 20_251_031
BATCH = 1_000
"""Bodies that hypothesis draws at a time: it keeps every choice, and slows down with their number."""
MAKERS: dict[str, Callable[..., dict[str, Any]]] = {
    "/v1/operations": operation,
    "/v1/events": event,
    "/v1/outcomes": outcome,
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20)
    | st.sampled_from(["2025-06-02T10:00:00Z", "+996555123456", "KGS", "top_up", "fraud", "a\0b", "x" * 200]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
PIECES = [b'"', b"{", b"}", b"[", b"]", b"\\", b",", b":", b"null", b"true", b"1e9", b"-0", b"\\u0000", b"\\ud800", b"\xff", b"\xc3",
          b"\xef\xbb\xbf", b"NaN", b"0" * 30, b"+996555000001", b"KGS", b"operation_id", b"2025-06-02T10:00:00Z"]  # fmt: skip


def paths(record: Any, at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The way to every value in nested objects."""
    below = (
        [path for name, value in record.items() for path in paths(value, (*at, name))] if isinstance(record, dict) else []
    )
    return [*([at] if at else []), *below]


@st.composite
def mutated(draw: st.DrawFn, numbers: st.SearchStrategy[int]) -> Sent:
    """A record with something else in it, or its bytes disturbed. numbers: of the examples that it begins with."""
    route = draw(st.sampled_from(sorted(MAKERS)))
    record = copy.deepcopy(MAKERS[route](draw(numbers)))
    for _ in range(draw(st.integers(0, 2))):
        *way, last = draw(st.sampled_from(paths(record) or [("x",)]))
        part: Any = record
        for name in way:
            part = part[name]
        match draw(st.integers(0, 3)):
            case 0:
                del part[last]
            case 1:
                part[draw(st.text(max_size=8))] = draw(VALUES)
            case _:
                part[last] = draw(VALUES)
    content = json.dumps(record, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    for _ in range(draw(st.sampled_from((0, 0, 1, 3)))):
        at = draw(st.integers(0, len(content)))
        piece = draw(st.binary(max_size=3) | st.sampled_from(PIECES))
        content = content[:at] + piece + content[at + draw(st.integers(0, 4)) :]
    return route, content


def drawn(count: int) -> list[Sent]:
    """`count` bodies by hypothesis, the same ones every time."""
    sent: list[Sent] = []
    for start in range(0, count, BATCH):
        sent += _batch(min(BATCH, count - start), start)
    return sent


def _batch(count: int, start: int) -> list[Sent]:
    sent: list[Sent] = []

    @seed(SEED + start)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated(st.integers(1, 10**6)))
    def keep(one: Sent) -> None:
        sent.append(one)

    keep()
    return sent[:count]


def disturbed(count: int) -> list[Sent]:
    """`count` valid bodies of which most have their bytes disturbed in one to four places, the same ones every time."""
    chance = random.Random(SEED)
    sent = []
    for number in range(count):
        route = chance.choice(sorted(MAKERS))
        content = body(MAKERS[route](chance.randint(1, 1 + number)))
        for _ in range(chance.choice((0, 1, 1, 2, 4))):
            content = _disturb(chance, content)
        sent.append((route, content))
    return sent


def _disturb(chance: random.Random, content: bytes) -> bytes:
    at, length = chance.randrange(len(content) + 1), chance.choice((1, 1, 2, 8, 40))
    match chance.randrange(6):
        case 0:  # a bit flipped
            place = min(at, len(content) - 1) if content else 0
            return (
                content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]
                if content
                else b"{"
            )
        case 1:  # something lost
            return content[:at] + content[at + length :]
        case 2:  # something twice
            return content[: at + length] + content[at:]
        case 3:  # something else in its place
            return content[:at] + chance.choice(PIECES) + content[at + length :]
        case 4:  # cut off
            return content[:at]
        case _:  # a piece of another record
            other = body(MAKERS[chance.choice(sorted(MAKERS))](chance.randrange(1_000)))
            begin = chance.randrange(len(other))
            return content[:at] + other[begin : begin + length] + content[at + length :]
