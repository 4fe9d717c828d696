"""The body of a request that is no record: bounded, signed where the key asks for it, and who sent it."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

import msgspec
from fastapi import Request

from casework.keys import Scope
from serving.auth import Gate
from serving.contracts import Problem, Refusal, decoded
from serving.heads import check_head, headers_of

BodyT = TypeVar("BodyT")


class Sent(NamedTuple):
    """Who sent a body, by the caller of the key, and the body."""

    person: str
    content: bytes

    def read(self, type_: type[BodyT]) -> BodyT:
        """The body as that type; Refusal 400 or 422 for one that is not."""
        found: BodyT = decoded(msgspec.json.Decoder(type_), self.content)
        return found


def sent(gate: Callable[[], Gate], needed: Scope, largest: int) -> Callable[[Request], Awaitable[Sent]]:
    """What FastAPI asks before a handler that takes a body: lets the caller in, and reads no more than `largest` bytes."""

    async def read(request: Request) -> Sent:
        headers = headers_of(request.scope["headers"])
        digest, person = gate().admit(request.scope, headers, needed), gate().caller(headers)
        check_head(headers)
        content = await _bounded(request, largest)
        if digest is not None:
            gate().check(digest, content)
        return Sent(person, content)

    return read


async def _bounded(request: Request, largest: int) -> bytes:
    parts: list[Any] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > largest:
            raise Refusal(413, Problem("too_large", f"the body is larger than {largest} bytes", allowed=str(largest)))
        parts.append(part)
    return b"".join(parts)
