"""Signed requests: RFC 9421 in the strict part that is taken, each signature once, and nothing by the key alone."""

import argparse
import asyncio
import base64
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from casework import database as databases
from casework import keys
from casework.keys import Scope
from serving import signatures
from serving.commands import keys as keys_command
from serving.contracts import Refusal
from serving.settings import Settings
from serving.signatures import Signatures, check_digest, digest_of, id_of, secret_of, signature, signed
from tests.serving.examples import body, operation
from tests.serving.running import Answer, asgi

CARD_KEY = bytes(range(32))
NOW = 1_800_000_000
KEY_ID = "0123456789ab"
SECRET = secret_of(CARD_KEY, KEY_ID)
TARGET = "/v1/operations/a%2Fb?x=1"


class Clock:
    """A clock that a test sets, and how long it has truly been running: what `jumped` adds was no time."""

    now: float = NOW
    jumped: float = 0

    def __call__(self) -> float:
        return self.now

    def steady(self) -> float:
        return self.now - self.jumped


def headers(
    created: int = NOW, content: bytes = b"{}", target: str = TARGET, method: str = "POST", **changes: str
) -> dict[bytes, bytes]:
    made = signed(SECRET, KEY_ID, method, target, content, created)
    made |= {name.replace("_", "-"): value for name, value in changes.items()}
    return {name.lower().encode(): value.encode() for name, value in made.items()}


def checked(verifier: Signatures, given: dict[bytes, bytes], method: str = "POST", target: str = TARGET) -> str:
    path, _, query = target.partition("?")
    return verifier.checked(KEY_ID, method, (path, query), given)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(clock: Clock) -> Signatures:
    return Signatures(CARD_KEY, 60, clock, clock.steady)


def test_the_signature_is_that_of_rfc_9421_appendix_b_2_5():
    secret = base64.b64decode("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
    covered = [
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("@authority", "example.com"),
        ("content-type", "application/json"),
    ]
    params = '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"'
    assert signature(secret, covered, params) == "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="


def test_the_digest_is_that_of_rfc_9530():
    assert digest_of(b'{"hello": "world"}\n') == "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"


def test_what_was_signed_is_accepted_with_the_digest_of_its_body(verifier):
    check_digest(checked(verifier, headers()), b"{}")
    with pytest.raises(Refusal, match="Content-Digest"):
        check_digest(checked(verifier, headers()), b"{ }")


def test_a_signature_is_accepted_once(verifier):
    given = headers()
    checked(verifier, given)
    with pytest.raises(Refusal, match="each signature once") as refused:
        checked(verifier, given)
    assert refused.value.status == 401
    checked(verifier, headers())


@pytest.mark.parametrize("late", [-61, 61, -(10**6)])
def test_a_signature_of_another_time_is_refused(verifier, late):
    with pytest.raises(Refusal, match="within 60 s of now"):
        checked(verifier, headers(NOW + late))


def test_what_can_no_longer_be_repeated_is_forgotten(verifier, clock):
    for moment in range(0, 1_200, 60):
        clock.now = NOW + moment
        checked(verifier, headers(NOW + moment + 60))
    seen = verifier._seen[KEY_ID]
    assert len(seen._order) == len(seen._signatures) == 3


def test_of_one_signature_that_comes_twice_at_once_one_is_accepted(verifier, monkeypatch):
    class Slow(int):
        """A bound that takes long to be looked at: meanwhile the other thread looks whether the signature was seen."""

        def __le__(self, other: int) -> bool:
            time.sleep(0.1)
            return int(self) <= other

    monkeypatch.setattr(signatures, "REMEMBERED", Slow(3))
    given = headers()
    with ThreadPoolExecutor(2) as threads:
        raised = [future.exception() for future in [threads.submit(checked, verifier, given) for _ in range(2)]]
    assert sorted(type(error) for error in raised if error) == [Refusal]


def test_a_clock_that_jumps_ahead_and_back_lets_no_signature_be_used_again(verifier, clock):
    given = headers()
    checked(verifier, given)
    clock.now, clock.jumped = NOW + 121, 121
    checked(verifier, headers(NOW + 121))
    clock.now, clock.jumped = NOW + 1, 0
    with pytest.raises(Refusal, match="each signature once"):
        checked(verifier, given)


def test_more_signatures_than_are_remembered_are_refused_until_some_are_old(verifier, clock, monkeypatch):
    monkeypatch.setattr(signatures, "REMEMBERED", 3)
    for _ in range(3):
        checked(verifier, headers())
    with pytest.raises(Refusal) as refused:
        checked(verifier, headers())
    assert (refused.value.status, refused.value.retry_after_s) == (429, 121)
    clock.now += 121
    checked(verifier, headers(NOW + 121))


@pytest.mark.parametrize(
    ("method", "target"),
    [("PUT", TARGET), ("POST", "/v1/operations/a/b?x=1"), ("POST", TARGET[:-2]), ("POST", TARGET + "&")],
)
def test_another_method_path_or_query_than_was_signed_is_refused(verifier, method, target):
    with pytest.raises(Refusal, match="a signature by the secret"):
        checked(verifier, headers(), method, target)


GOOD = headers()[b"signature-input"].decode()


@pytest.mark.parametrize("given", [
    "", "sig=()", GOOD.replace('"@query" ', ""), GOOD.replace('"@method" "@path"', '"@path" "@method"'), GOOD + ", b=()",
    GOOD.replace("sig=", "other="), GOOD.replace(";created=", ";began="), GOOD + ";created=1", GOOD + ';tag="x"', GOOD + ";expires=1",
    GOOD + ';alg="ed25519"', re.sub("created=[0-9]+", 'created="1"', GOOD), re.sub(';nonce="[^"]+"', "", GOOD),
    re.sub('keyid="[^"]+"', 'keyid="ba9876543210"', GOOD), re.sub("created=[0-9]+", f"created={NOW + 1}", GOOD), GOOD + "\n", GOOD * 50,
])  # fmt: skip
def test_another_form_or_another_meaning_is_refused(verifier, given):
    with pytest.raises(Refusal) as refused:
        checked(verifier, headers(Signature_Input=given))
    assert (refused.value.status, refused.value.problem.code) == (401, "not_signed")


@pytest.mark.parametrize("missing", [b"content-digest", b"signature-input", b"signature"])
def test_a_missing_header_is_named(verifier, missing):
    given = headers()
    del given[missing]
    with pytest.raises(Refusal, match="Content-Digest, Signature-Input and Signature"):
        checked(verifier, given)


def test_another_keys_secret_signs_nothing_here(verifier):
    made = signed(secret_of(CARD_KEY, "ba9876543210"), KEY_ID, "POST", TARGET, b"{}", NOW)
    with pytest.raises(Refusal, match="a signature by the secret"):
        checked(verifier, {name.lower().encode(): value.encode() for name, value in made.items()})


def test_a_key_made_signed_shows_its_secret_once_and_stores_it_nowhere(tmp_path, capsys):
    command(tmp_path, "make", "--caller", "core", "--by", "Aigul", "--signed")
    key, secret = capsys.readouterr().out.split()
    assert secret == secret_of(Settings(home=tmp_path).card_key(), id_of(key))
    with databases.connect(Settings(home=tmp_path).database) as database:
        assert keys.Keys(database).caller(key).is_signed
        ((_, _, scopes, _),) = keys.listed(database)
    assert scopes == "events metrics operations outcomes read signed"
    assert all(secret.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def command(home, *arguments: str) -> None:
    parser = argparse.ArgumentParser()
    keys_command.add_arguments(parser)
    assert keys_command.run(parser.parse_args([*arguments, "--home", str(home)])) == 0


def test_a_signed_key_alone_opens_no_route_and_signed_opens_all(settings):
    async def asked() -> list[Answer]:
        with databases.connect(settings.database) as database:
            key = keys.make(database, "strict", set(Scope), "the tests", is_signed=True)
        bearer, content = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}, body(operation(1))
        secret, key_id = secret_of(settings.card_key(), id_of(key)), id_of(key)

        def sign(method: str, target: str, signed_body: bytes = b"") -> dict[str, str]:
            return bearer | signed(secret, key_id, method, target, signed_body, int(time.time()))

        async with asgi(settings) as ask:
            return [
                await ask("POST", "/v1/operations", content, bearer),
                await ask("GET", "/v1/operations/op-1", b"", bearer),
                await ask("POST", "/v1/operations", content, sign("POST", "/v1/operations", b"{}")),
                await ask("POST", "/v1/operations", content, sign("POST", "/v1/operations", content)),
                await ask("GET", "/v1/operations/op-1", b"", sign("GET", "/v1/operations/op-1")),
                await ask("GET", "/metrics", b"", sign("GET", "/metrics")),
            ]

    answers = asyncio.run(asked())
    assert [answer.status for answer in answers] == [401, 401, 401, 200, 200, 200]
    assert all(answer.json["error"]["code"] == "not_signed" for answer in answers[:3])
    assert b'burana_turned_away_total{code="not_signed"} 3.0' in answers[-1].body


def test_a_decision_whose_id_ends_like_an_explanation_takes_one_signature_and_one_turn_of_the_rate(models, tmp_path):
    settings = Settings(home=tmp_path, models=models, rate_per_s=0.001, rate_burst=2)

    async def asked() -> list[Answer]:
        with databases.connect(settings.database) as database:
            key = keys.make(database, "strict", set(Scope), "the tests", is_signed=True)
        secret, key_id = secret_of(settings.card_key(), id_of(key)), id_of(key)
        answers = []
        async with asgi(settings) as ask:
            content, target = body(operation(1, operation_id="op-1/explanation")), "/v1/operations/op-1/explanation"
            for method, path, sent in (("POST", "/v1/operations", content), ("GET", target, b"")):
                made = signed(secret, key_id, method, path, sent, int(time.time()))
                answers.append(await ask(method, path, sent, {"Authorization": f"Bearer {key}"} | made))
        return answers

    decided, looked = asyncio.run(asked())
    assert (decided.status, looked.status) == (200, 200), looked.body
    assert looked.json["decision"]["operation_id"] == "op-1/explanation"
