"""SIGTERM: no record is taken any more, those under way are answered, the features are kept, and the exit code is 0."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from serving.app import application
from serving.client import connect
from serving.snapshots import sequence_of
from tests.serving.examples import body, operation
from tests.serving.mixes import Mix, load
from tests.serving.running import Server, asgi, file_in, key_of, rows_in
from tests.serving.test_crash import SEED, lost

OPERATIONS = "/v1/operations"


def test_every_request_that_was_taken_is_answered_and_the_others_are_told_to_come_again(
    models: Path, tmp_path: Path
) -> None:
    with Server(tmp_path, models) as server:
        mix, code = Mix(SEED), []

        async def until_stopped() -> float:
            enough = asyncio.Event()
            sending = asyncio.create_task(load(server, mix, enough, 200, asyncio.Event()))
            await enough.wait()
            began = time.monotonic()
            code.append(await asyncio.to_thread(server.stop))
            took = time.monotonic() - began
            await sending
            return took

        took = asyncio.run(until_stopped())
        print(f"{len(mix.acknowledged)} acknowledged; stopped after {took:.2f} s, snapshot included")
        assert code == [0]
        assert took < 20
        assert len(mix.acknowledged) >= 200
        assert lost(file_in(tmp_path), mix.acknowledged) == []
        assert rows_in(file_in(tmp_path)) == len(mix.acknowledged), "nothing was recorded whose caller was not told so"
        assert sequence_of(tmp_path / "state.npz") == len(mix.acknowledged), "the features were kept"
        assert "Traceback" not in server.log.read_text()


def test_a_record_that_comes_while_it_drains_is_503_and_the_connection_ends(settings) -> None:
    async def scenario() -> None:
        app, key = application(settings), {"Authorization": f"Bearer {key_of(settings.database)}"}
        async with asgi(settings, app) as ask:
            app.drain()
            refused = await ask("POST", OPERATIONS, body(operation(1)), key)
            assert (refused.status, refused.headers["retry-after"], refused.headers["connection"]) == (503, "1", "close")
            assert refused.json["error"]["code"] == "draining"
            told = await ask("GET", "/readyz")
            assert (told.status, told.json["status"]) == (503, "draining")
            assert (await ask("GET", "/livez")).status == 200
        assert rows_in(settings.database) == 0

    asyncio.run(scenario())


def test_a_body_that_never_becomes_whole_holds_up_no_stop_for_longer_than_the_settings_say(
    models: Path, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("drain_s = 2\nrequest_timeout_s = 60\n", encoding="utf-8")
    with Server(tmp_path, models, "--config", str(config)) as server:

        async def half_sent() -> float:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            head = (
                f"POST {OPERATIONS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.key}\r\ncontent-length: 900\r\n\r\n"
            )
            writer.write(head.encode() + b"{")
            await writer.drain()
            await asyncio.sleep(0.3)
            began = time.monotonic()
            assert await asyncio.to_thread(server.stop) == 0
            writer.close()
            return time.monotonic() - began

        assert asyncio.run(half_sent()) < 2 + 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_nobody_asks_anything_stops_at_once(models: Path, tmp_path: Path, number: signal.Signals) -> None:
    with Server(tmp_path, models) as server:

        async def idle() -> float:
            connection = await connect(server.url, server.key)
            assert (await connection.request("GET", "/livez", b"")).status == 200
            began = time.monotonic()
            os.kill(server.pid, number)
            await asyncio.to_thread(server.process.join, 60)
            connection.close()
            return time.monotonic() - began

        assert asyncio.run(idle()) < 10
        assert server.process.exitcode == 0
