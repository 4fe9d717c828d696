"""The HTTP server: uvicorn, with an end of its own. After SIGTERM no record is taken, those under way are answered, and the exit
code is 0, where uvicorn would let the signal kill the process after all."""

import signal
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from serving.connections import Connection
from serving.endpoint import Endpoint
from serving.settings import Settings


class Server(uvicorn.Server):
    """Serves an endpoint until SIGTERM or SIGINT."""

    def __init__(self, endpoint: Endpoint, settings: Settings, certificate: Path | None, private_key: Path | None) -> None:
        """certificate, private_key: PEM files, where the server itself speaks TLS."""
        self._endpoint = endpoint
        protocol: Any = partial(Connection, endpoint=endpoint, request_timeout_s=settings.request_timeout_s)
        super().__init__(uvicorn.Config(
            endpoint, http=protocol, ws="none", host=settings.host, port=settings.port, log_level="warning", log_config=None, access_log=False,
            server_header=False, proxy_headers=False, timeout_graceful_shutdown=settings.drain_s, backlog=4096, ssl_certfile=certificate,
            ssl_keyfile=private_key,
        ))  # fmt: skip

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 uvicorn's callback
        """Stop; a second SIGINT does not wait for anybody."""
        self._endpoint.drain()
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
