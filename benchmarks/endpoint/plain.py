"""What the same server does without assessing: FastAPI with a constant, and a bare callable that answers what it was sent."""

from typing import Any

from fastapi import FastAPI, Request

constant = FastAPI()


@constant.post("/v1/operations")
async def operations(request: Request) -> dict[str, str]:
    """The body is read, the answer is always the same."""
    await request.body()
    return {"level": "low", "action": "approve"}


@constant.get("/readyz")
async def ready() -> dict[str, bool]:
    """Ready at once."""
    return {"ready": True}


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """ASGI 3: the body goes back as it came."""
    if scope["type"] != "http":
        return
    message = await receive()
    body = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})
