"""What a person says to a route of the application: who it is, by the key, and the body, once it is whole and as it was signed."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from fastapi import Request
from starlette.requests import ClientDisconnect

from casework.keys import Scope
from serving.auth import Gate
from serving.contracts import Problem, Refusal
from serving.heads import check_head, headers_of
from serving.settings import Settings


class Guarded(Protocol):
    """What is asked who may come in, and how much may be said."""

    settings: Settings
    gate: Gate


class Spoken(NamedTuple):
    """person: the caller of the key, the same by either of its keys; body: its bytes."""

    person: str
    body: bytes


def spoken(running: Callable[[], Guarded], needed: Scope, most: int | None = None) -> Callable[[Request], Awaitable[Spoken]]:
    """A dependency of routes that take a body: Refusal for who stays outside, and for a body that is too large or was not signed.

    most: bytes of a body, where it may be larger than a record's.
    """

    async def listen(request: Request) -> Spoken:
        now = running()
        headers = headers_of(request.scope["headers"])
        caller, digest = now.gate.admitted(request.scope, headers, needed)
        check_head(headers)
        body = await _whole(request, most or now.settings.max_body)
        if digest is not None:
            now.gate.check(digest, body)
        return Spoken(caller.name, body)

    return listen


async def _whole(request: Request, most: int) -> bytes:
    parts, size = [], 0
    try:
        async for part in request.stream():
            parts.append(part)
            if (size := size + len(part)) > most:
                raise Refusal(413, Problem("too_large", f"the body is larger than {most} bytes", allowed=str(most)))
    except ClientDisconnect:
        raise Refusal(400, Problem("malformed", "the connection closed before the body was whole")) from None
    return b"".join(parts)
