"""The HTTP server: uvicorn, with an end of its own. After SIGTERM no record is taken, those under way are answered, and the exit
code is 0, where uvicorn would let the signal kill the process after all."""

import signal
import ssl
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from domain.errors import SettingsError
from serving.connections import Connection
from serving.endpoint import Endpoint
from serving.settings import Settings


class Server(uvicorn.Server):
    """Serves an endpoint until SIGTERM or SIGINT."""

    def __init__(self, endpoint: Endpoint, settings: Settings, certificate: Path | None, private_key: Path | None) -> None:
        """certificate, private_key: PEM files, where the server itself speaks TLS; SettingsError where they are of no use."""
        _check(certificate, private_key)
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


def _check(certificate: Path | None, private_key: Path | None) -> None:
    """Read both as uvicorn will, which says of a wrong one neither its name nor, where it is a key alone, anything at all."""
    if certificate is None:
        if private_key is not None:
            raise SettingsError(f"--private-key: seen {private_key} alone, allowed with --certificate")
        return
    try:  # an empty password: nobody is there to be asked for one
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, private_key, password="")
    except OSError as error:
        raise SettingsError(
            f"--certificate {certificate}, --private-key {private_key}: {error}; allowed are a chain and its key in PEM, without a password"
        ) from error
