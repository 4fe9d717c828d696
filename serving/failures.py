"""What nobody expected: answered with a reference that the log has too, and nothing else of the inside."""

import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from serving.contracts import Problem, Refusal, expected_refusal
from serving.metrics import Metrics

log = logging.getLogger("burana")
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]
JSON = (b"content-type", b"application/json")
PRIVATE = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
"""Nothing on the way keeps what somebody read, and no browser takes it for something else."""
_CHALLENGE = (b"www-authenticate", b'Bearer realm="burana"')


def answer_to(error: Exception) -> Refusal:
    """The refusal that answers an error; one that nobody expected goes to the log, with the reference of the answer."""
    return expected_refusal(error) or _failure(error)


def _failure(error: Exception) -> Refusal:
    reference = secrets.token_hex(8)
    log.error("failure %s", reference, exc_info=error)
    text = f"this failed here, whether before or after it was recorded: repeat it, or ask the operator about {reference}"
    return Refusal(500, Problem("failed", text, reference=reference))


def headers_of_refusal(refusal: Refusal) -> list[tuple[bytes, bytes]]:
    """The headers that go with a refusal."""
    extra = []
    if refusal.status == 401:
        extra.append(_CHALLENGE)
    if refusal.status == 405:
        extra.append((b"allow", (refusal.problem.allowed or "").encode()))
    if refusal.status == 413 or refusal.problem.code == "draining":
        extra.append((b"connection", b"close"))
    if refusal.retry_after_s is not None:
        extra.append((b"retry-after", str(refusal.retry_after_s).encode()))
    return extra


async def send_answer(send: Send, status: int, body: bytes, extra: list[tuple[bytes, bytes]]) -> None:
    """A whole answer of JSON."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [JSON, length, *extra]})
    await send({"type": "http.response.body", "body": body})


def _check_path(path: str) -> None:
    if "\0" in path and not path.startswith("/v1/operations/"):  # which PostgreSQL takes in no text: nothing is called so
        raise Refusal(404, Problem("not_found", "there is no such path"))


class Answering:
    """ASGI middleware around the routes that are not raw: every error becomes a refusal, every answer is private."""

    def __init__(self, app: Application, metrics: Callable[[], Metrics]) -> None:
        """metrics: those of the process, once it has some."""
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        """ASGI 3."""

        async def private(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *PRIVATE]}
            await send(message)

        try:
            _check_path(scope.get("path", ""))
            await self._app(scope, receive, private)
        except Exception as error:  # noqa: BLE001 the outermost place: logged, and answered without the inside
            refusal = answer_to(error)
            if refusal.status == 500:
                self._metrics().failed()
            await send_answer(private, refusal.status, refusal.body, headers_of_refusal(refusal))
