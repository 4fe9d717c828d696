"""A part that fails is stated in the answer and leads to verification; only the ledger makes Burana refuse; nothing is low."""

import asyncio
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from casework import database as databases
from casework import rule_sets
from casework.ledger import reading
from domain.bundle import Manifest, champion
from domain.identifiers import IdentifierKind
from domain.levels import RiskLevel
from domain.listing import List
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.plan import Plan
from serving import live_rules, recovery, verification
from serving.live_rules import RuleFollower
from serving.scoring import Model
from serving.settings import Settings
from tests import registry
from tests.databases import execute, refusing
from tests.serving.broken_models import BROKEN_MODELS, constant, raising
from tests.serving.examples import body, event, operation, outcome
from tests.serving.faults import BROKEN_RULE
from tests.serving.running import InProcess, Server, asgi, key_of, probes, rows_in

OPERATIONS = "/v1/operations"
PLAN = Plan(DEFINITIONS, RETAINED_ARRIVALS)
SOUND_RULE = """
[[rules]]
id = "pays_much"
criterion = "R61"
level = "high"
state = "live"
owner = "tests"
ground = "the sound one beside the broken one"
expression = "amount_tyiyn >= 5000000"
text = "50,000 som or more"
"""


def use_rules(burana: InProcess, content: str) -> None:
    with databases.connect(burana.settings.database) as database:
        version = rule_sets.load(database, content, "the tests", "to see them fail")
    burana.run(RuleFollower(burana.burana.database, burana.burana.assessor).look())
    assert burana.burana.assessor.layers.rules.version == version


def prohibit(burana: InProcess, phone: str) -> None:
    with databases.connect(burana.settings.database) as database:
        identifiers = burana.settings.identifiers()
        registry.add(database, identifiers, IdentifierKind.PHONE, phone, List.PROHIBITED, "the tests", "fraud")
    burana.burana.assessor.layers.registry.refresh()
    assert len(burana.burana.assessor.layers.registry) > 0


def equals_a_replay(burana: InProcess) -> bool:
    """Whether the features are those that the whole ledger gives, and every stored vector the one that batch gives."""
    with reading(burana.settings.database) as ledger:
        replayed = recovery.rebuild(PLAN, ledger, burana.settings.home / "no snapshot")
    engine = burana.burana.assessor.records.engine
    rows = probes(burana.settings.identifiers())
    same = all(engine.read(row).tobytes() == replayed.read(row).tobytes() for row in rows)
    figures = verification.verify(burana.settings.database, PLAN)
    return same and engine.applied == replayed.applied == figures["entries"] and figures["vectors_differ"] == 0


# ---- the model -----------------------------------------------------------------------------------------------------------


def use_model(burana: InProcess, content: bytes) -> None:
    manifest = (champion(burana.settings.models) / "manifest.json").read_bytes()
    stated = msgspec.json.decode(manifest, type=Manifest)
    burana.burana.assessor.layers.model = Model(msgspec.structs.replace(stated, version="broken"), content)


def test_the_broken_models_of_these_tests_are_otherwise_sound(burana):
    use_model(burana, constant(0.0))
    assert burana.decide(operation(1))["level"] == "low"
    use_model(burana, constant(1.0))
    assert burana.decide(operation(2))["level"] == "high"


@pytest.mark.parametrize("content", BROKEN_MODELS.values(), ids=BROKEN_MODELS.keys())
def test_a_model_that_fails_leads_to_verification(burana, content):
    use_model(burana, content)
    decision = burana.decide(operation(1))
    assert (decision["level"], decision["action"], decision["score"]) == ("medium", "verify", None)
    assert decision["degraded"] == ["no_model"]
    assert decision["case_id"]


def test_without_a_champion_every_operation_is_verified(settings, tmp_path):
    with InProcess(replace(settings, models=tmp_path / "none", require_model=False)) as burana:
        decisions = [burana.decide(operation(number)) for number in range(1, 20)]
    assert {decision["level"] for decision in decisions} == {"medium"}
    assert all(decision["degraded"] == ["no_model"] and decision["model"] is None for decision in decisions)
    assert all([reason["code"] for reason in decision["reasons"]] == ["no_model"] for decision in decisions)


# ---- the rules that come while it runs -----------------------------------------------------------------------------------


def test_a_set_that_could_not_be_compiled_for_want_of_memory_is_compiled_at_the_next_look(unmended, monkeypatch):
    follower = RuleFollower(unmended.burana.database, unmended.burana.assessor)
    with databases.connect(unmended.settings.database) as database:
        version = rule_sets.load(database, SOUND_RULE, "the tests", "to see it come")
    with monkeypatch.context() as scarce, pytest.raises(MemoryError):
        scarce.setattr(live_rules, "Rules", lambda *_: (_ for _ in ()).throw(MemoryError()))
        unmended.run(follower.look())
    unmended.run(follower.look())
    assert unmended.burana.assessor.layers.rules.version == version


# ---- the features --------------------------------------------------------------------------------------------------------


def break_features(burana: InProcess) -> None:
    """Damage the engine so that neither reading nor applying works."""
    engine = burana.burana.assessor.records.engine
    engine._row = np.zeros(3, np.int64)
    with pytest.raises(ValueError, match="broadcast"):
        engine.read([0] * 18)


@pytest.fixture
def unmended(settings):
    """A Burana that looks for something to repair only when a test says so."""
    with InProcess(replace(settings, refresh_s=3_600)) as running:
        yield running


def test_features_that_cannot_be_read_lead_to_verification_and_the_operation_is_kept(unmended):
    before = [unmended.decide(operation(number)) for number in range(1, 10)]
    assert {decision["level"] for decision in before} == {"low"}
    break_features(unmended)
    decision = unmended.decide(operation(10))
    assert (decision["level"], decision["score"]) == ("medium", None)
    assert "no_features" in decision["degraded"]
    assert unmended.burana.ledger.find("operation", "op-10").vector is None
    assert rows_in(unmended.settings.database) == 10


def test_features_that_broke_are_rebuilt_from_the_ledger(unmended):
    for number in range(1, 10):
        unmended.decide(operation(number))
    break_features(unmended)
    for number in range(10, 14):
        unmended.decide(operation(number))
    assert unmended.post("/v1/events", body(event(1))).status == 200
    assert unmended.post("/v1/outcomes", body(outcome(11))).status == 200
    unmended.run(unmended.burana.recover())
    after = unmended.decide(operation(14))
    assert (after["degraded"], after["sequence"]) == ([], 16)
    assert equals_a_replay(unmended)


def test_features_that_are_broken_at_the_end_are_not_kept_as_a_snapshot(settings):
    with InProcess(replace(settings, refresh_s=60)) as burana:
        burana.decide(operation(1))
        break_features(burana)
        burana.decide(operation(2))
    assert not settings.state.exists()
    with InProcess(settings) as burana:
        assert equals_a_replay(burana)


# ---- the rules -----------------------------------------------------------------------------------------------------------


def test_a_rule_that_fails_leads_to_verification_with_its_name(burana):
    use_rules(burana, BROKEN_RULE + SOUND_RULE)
    decision = burana.decide(operation(1))
    assert (decision["level"], decision["degraded"]) == ("medium", ["rule_failed"])
    assert any("divides_by_zero" in reason["text"] for reason in decision["reasons"])


def test_a_rule_that_fails_silences_no_other(burana):
    use_rules(burana, BROKEN_RULE + SOUND_RULE)
    decision = burana.decide(operation(1, amount={"minor": 5_000_000, "currency": "KGS"}))
    assert decision["level"] == "high"
    assert {"pays_much", "rule_failed", "score_low"} <= {reason["code"] for reason in decision["reasons"]}


def test_a_set_that_does_not_compile_is_not_taken_and_the_last_stays_in_force(burana):
    version = burana.burana.assessor.layers.rules.version
    rule_sets.load(burana.burana.database, BROKEN_RULE.replace("> 1", "> 'one'"), "the tests", "past the check")
    burana.wait(0.3)
    assert burana.burana.assessor.layers.rules.version == version
    assert burana.decide(operation(1))["level"] == "low"


# ---- the registry stands alone ---------------------------------------------------------------------------------------------


def test_r96_a_prohibited_identifier_is_rejected_with_model_features_and_rules_all_broken(unmended):
    prohibit(unmended, "0555 000 003")
    use_rules(unmended, BROKEN_RULE)
    use_model(unmended, raising())
    break_features(unmended)
    decision = unmended.decide(operation(3))
    assert (decision["level"], decision["action"], decision["score"]) == ("high", "reject", None)
    assert set(decision["degraded"]) == {"no_features", "rule_failed"}
    assert decision["reasons"][0]["code"] == "registry_prohibited"


@pytest.mark.parametrize("damage", ["model", "features", "rules", "everything"])
def test_no_single_failure_is_low(unmended, damage):
    damages: dict[str, Callable[[], None]] = {
        "model": lambda: use_model(unmended, BROKEN_MODELS["NaN"]),
        "features": lambda: break_features(unmended),
        "rules": lambda: use_rules(unmended, BROKEN_RULE),
    }
    for name in ("rules", "model", "features"):
        if damage in (name, "everything"):
            damages[name]()
    for number in range(1, 15):
        decision = unmended.decide(operation(number))
        assert RiskLevel[decision["level"].upper()] >= RiskLevel.MEDIUM
        assert decision["degraded"]


# ---- the ledger ----------------------------------------------------------------------------------------------------------


def test_a_ledger_that_refuses_is_503_and_nothing_is_recorded(burana):
    given = [burana.post(OPERATIONS, body(operation(number))) for number in range(1, 8)]
    before = burana.trace()
    with refusing(burana.settings.database):
        records = [(OPERATIONS, body(operation(number))) for number in range(8, 30)] + [("/v1/events", body(event(1)))]
        answers = burana.post_many(records)
        assert {answer.status for answer in answers} == {503}
        assert {answer.json["error"]["code"] for answer in answers} == {"unavailable"}
        assert burana.post(OPERATIONS, body(operation(30))).status == 503
        assert rows_in(burana.settings.database) == before.entries
    burana.wait_until(lambda: burana.burana.assessor.records.broken is None)
    assert burana.trace() == before, "what was refused left the features again"
    assert burana.post(OPERATIONS, body(operation(1))) == given[0]
    again = burana.post_many(records)
    assert {answer.status for answer in again} == {200}
    assert [answer.json["sequence"] for answer in again] == list(range(8, 8 + len(records)))
    assert equals_a_replay(burana)


def test_a_ledger_that_goes_on_refusing_is_tried_again_and_again(burana):
    burana.decide(operation(1))
    with refusing(burana.settings.database):
        for number in range(2, 6):
            assert burana.post(OPERATIONS, body(operation(number))).status == 503
            burana.wait(0.15)
    burana.wait_until(lambda: burana.burana.assessor.records.broken is None)
    assert burana.decide(operation(2))["sequence"] == 2
    assert equals_a_replay(burana)


def test_a_ledger_that_cannot_be_read_is_503_too(settings):
    async def scenario() -> None:
        key = {"Authorization": f"Bearer {key_of(settings.database)}"}
        async with asgi(settings) as ask:
            first = await ask("POST", OPERATIONS, body(operation(1)), key)
            with databases.connect(settings.database) as database:
                execute(database, "ALTER TABLE entries RENAME TO elsewhere")
                for method, path, content in (("POST", OPERATIONS, body(operation(2))), ("GET", f"{OPERATIONS}/op-1", b"")):
                    refused = await ask(method, path, content, key)
                    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
                    assert refused.json["error"]["code"] == "unavailable"
                execute(database, "ALTER TABLE elsewhere RENAME TO entries")
            while (repeated := await ask("POST", OPERATIONS, body(operation(1)), key)).status == 503:
                await asyncio.sleep(0.02)  # an id that was known for new met the writer, so the features are rebuilt
            assert repeated == first
            assert (await ask("POST", OPERATIONS, body(operation(2)), key)).status == 200

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_more_records_than_may_wait_for_the_disk_are_told_to_come_again(settings):
    with InProcess(replace(settings, max_pending=3)) as burana:
        records = [(OPERATIONS, body(operation(number))) for number in range(1, 11)]
        answers = burana.post_many(records)
        assert [answer.status for answer in answers] == [200] * 3 + [503] * 7
        assert burana.trace()[:2] == (3, 3)
        while any(answer.status != 200 for answer in answers):
            answers = burana.post_many(records)
        assert burana.trace()[:2] == (10, 10)
        assert equals_a_replay(burana)


def test_a_refusal_for_the_ledger_carries_retry_after_and_shows_in_readyz(settings):
    async def scenario() -> None:
        key = {"Authorization": f"Bearer {key_of(settings.database)}"}
        async with asgi(replace(settings, refresh_s=0.5)) as ask:
            with refusing(settings.database):
                refused = await ask("POST", OPERATIONS, body(operation(1)), key)
                assert (refused.status, refused.headers["retry-after"]) == (503, "1")
                assert (await ask("GET", "/readyz")).status == 503
                assert (await ask("GET", "/livez")).status == 200
            while (await ask("GET", "/readyz")).status != 200:
                await asyncio.sleep(0.05)
            assert (await ask("POST", OPERATIONS, body(operation(1)), key)).json["sequence"] == 1

    asyncio.run(scenario())


def test_a_full_disk_refuses_and_room_on_it_ends_that(models: Path, tmp_path: Path):
    """The process may not write files beyond a size, as on a full disk, until it may again."""
    with Server(tmp_path, models) as server:
        wal = tmp_path / "burana.db-wal"
        limit = wal.stat().st_size + 150_000
        hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (limit, hard))
        statuses = [server.ask("POST", OPERATIONS, body(operation(number))).status for number in range(1, 80)]
        assert statuses[0] == 200
        assert set(statuses) == {200, 503}
        taken = statuses.count(200)
        assert rows_in(server.database) == taken
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))
        again = []
        for number in range(1, 80):
            while (answer := server.ask("POST", OPERATIONS, body(operation(number)))).status == 503:
                pass
            again.append(answer.json["sequence"])
        assert sorted(again) == list(range(1, 80))
    settings = Settings(home=tmp_path, models=models)
    with InProcess(settings) as burana:
        assert equals_a_replay(burana)


def test_past_the_deadline_the_answer_is_what_is_known_so_far_and_never_low(settings):
    with InProcess(replace(settings, deadline_ms=0.001)) as burana:
        prohibit(burana, "+996555000009")
        late = burana.decide(operation(1))
        rejected = burana.decide(operation(2, recipient={"phone": "0555 000 009"}))
    assert (late["level"], late["score"], late["degraded"]) == ("medium", None, ["deadline"])
    assert [reason["code"] for reason in late["reasons"]] == ["deadline"]
    assert (rejected["level"], rejected["degraded"]) == ("high", ["deadline"])


def test_what_came_too_late_to_be_assessed_is_behaviour_all_the_same(settings):
    with InProcess(replace(settings, deadline_ms=0.001)) as burana:
        for number in range(3):
            burana.decide(operation(number))
        assert burana.burana.assessor.records.engine.applied == 3


def test_each_stage_of_an_operation_is_timed(burana):
    for number in range(3):
        burana.decide(operation(number))
    told = burana.burana.metrics.text().decode()
    counted = {
        line.split('stage="')[1].split('"')[0]: float(line.split()[-1])
        for line in told.splitlines()
        if line.startswith("burana_stage_seconds_count")
    }
    reasons = counted.pop("reasons")
    assert counted == {"reading": 3, "features": 3, "score": 3, "rules": 3, "writing": 3}
    assert reasons <= 3
    assert 'burana_stage_seconds_bucket{le="+Inf",stage="writing"} 3.0' in told
