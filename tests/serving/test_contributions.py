"""Why: every medium or high decision says which criteria moved the score, exactly; the same can be asked of any decision later."""

import asyncio
import math
import shutil
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from casework.keys import Scope
from domain.bundle import CONTRIBUTIONS_FILE, MANIFEST_FILE, champion
from domain.criteria import FraudCriterion
from domain.errors import ExplanationError, UnknownOperationError
from domain.levels import Thresholds
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.plan import Plan
from serving.commands import explain
from serving.contributions import LEAST, MOST_REASONS, Explainer
from serving.explanation import Explanation, Explanations
from serving.settings import Settings
from tests.serving.examples import body, operation
from tests.serving.running import InProcess, asgi, key_of
from tests.serving.test_degrading import break_features, prohibit

PLAN = Plan(DEFINITIONS, RETAINED_ARRIVALS)
ALWAYS_MEDIUM = Thresholds(1e-9, 1 - 1e-9)


@pytest.fixture
def strict(burana):
    """A Burana that verifies everything: the bundle of the tests with lower thresholds."""
    burana.burana.assessor.layers.model.thresholds = ALWAYS_MEDIUM
    return burana


def why(decision: dict) -> list[dict]:
    """The reasons that say what moved the score."""
    levels = ("score_low", "score_medium", "score_high")
    return [reason for reason in decision["reasons"] if reason["layer"] == "score" and reason["code"] not in levels]


def explained(burana: InProcess, id_: str):
    return Explanations(burana.settings.models, PLAN).of(burana.burana.ledger, id_)


# ---- at once -------------------------------------------------------------------------------------------------------------


def test_a_medium_decision_names_the_criteria_that_raised_the_score_most(strict):
    decisions = [strict.decide(operation(number)) for number in range(1, 30)]
    assert {decision["level"] for decision in decisions} == {"medium"}
    for decision in decisions:
        parts = [part for part in explained(strict, decision["operation_id"]).criteria if part.log_odds >= LEAST]
        assert [reason["criterion"] for reason in why(decision)] == [part.criterion for part in parts[:MOST_REASONS]]
        for reason, part in zip(why(decision), parts, strict=False):
            assert reason["code"] == f"score_{part.criterion.name.lower()}"
            assert reason["text"].startswith(f"odds of fraud times {part.times:.2f}; strongest, times ")
    assert any(why(decision) for decision in decisions)


def test_a_reason_tells_the_strongest_feature_and_its_value_in_words(strict):
    decisions = [strict.decide(operation(number)) for number in range(1, 30)]
    decision = max(decisions, key=lambda one: len(why(one)))
    parts = explained(strict, decision["operation_id"]).features
    for reason in why(decision):
        strongest = max((part for part in parts if part.criterion == reason["criterion"]), key=lambda part: part.log_odds)
        assert reason["text"].endswith(f"strongest, times {strongest.times:.2f}: {strongest.said}")
    assert why(decision)


def test_a_low_decision_is_not_explained_before_it_is_asked(burana):
    decision = burana.decide(operation(1))
    assert (decision["level"], why(decision)) == ("low", [])
    assert explained(burana, "op-1").features


def test_a_rejection_by_the_registry_tells_also_what_moved_the_score(strict):
    strict.burana.assessor.layers.model.thresholds = Thresholds(1 - 1e-8, 1 - 1e-9)
    prohibit(strict, "0555 000 003")
    decisions = [strict.decide(operation(3 + 5 * number)) for number in range(30)]
    assert {(decision["level"], decision["reasons"][0]["code"]) for decision in decisions} == {
        ("high", "registry_prohibited")
    }
    assert any(why(decision) for decision in decisions)


def test_a_repeat_gets_the_same_reasons_to_the_byte_also_from_a_later_server(settings):
    records = [body(operation(number)) for number in range(1, 30)]
    with InProcess(settings) as burana:
        burana.burana.assessor.layers.model.thresholds = ALWAYS_MEDIUM
        first = [burana.post("/v1/operations", record) for record in records]
        assert any(why(answer.json) for answer in first)
        assert [burana.post("/v1/operations", record) for record in records] == first
    with InProcess(settings) as later:
        assert [later.post("/v1/operations", record) for record in records] == first


def test_an_explanation_that_does_not_make_the_score_is_not_given_and_the_level_stands(strict):
    model = strict.burana.assessor.layers.model
    contributions = model.explainer.contributions
    broken = replace(contributions, expected=contributions.expected + 0.1)
    model.explainer = Explainer(broken, model.manifest.features, FeatureSet(PLAN).entries)
    decision = strict.decide(operation(1))
    assert (decision["level"], decision["degraded"], decision["case_id"] is not None) == ("medium", [], True)
    assert [reason["code"] for reason in why(decision)] == ["score_not_explained"]


def test_an_operation_without_a_vector_has_no_reasons_of_the_score(strict):
    break_features(strict)
    decision = strict.decide(operation(1))
    assert (decision["level"], why(decision)) == ("medium", [])


# ---- later ---------------------------------------------------------------------------------------------------------------


def test_the_parts_of_any_stored_decision_make_its_score(burana):
    for number in range(1, 30):
        decision = burana.decide(operation(number))
        explanation = explained(burana, decision["operation_id"])
        assert (explanation.model, explanation.score) == (decision["model"], decision["score"])
        made = explanation.base_log_odds + math.fsum(part.log_odds for part in explanation.features)
        assert made == pytest.approx(explanation.log_odds, abs=1e-12)
        assert 1 / (1 + math.exp(-made)) == pytest.approx(decision["score"], abs=1e-12)
        by_criterion = math.fsum(part.log_odds for part in explanation.criteria)
        assert explanation.base_log_odds + by_criterion == pytest.approx(made, abs=1e-12)


def test_every_feature_is_told_with_its_value_its_words_and_the_criterion_that_it_serves(burana):
    declared = {declaration.name: declaration.serves for declaration in DEFINITIONS}
    burana.decide(operation(1))
    vector = dict(zip(PLAN.names, np.frombuffer(burana.burana.ledger.find("operation", "op-1").vector), strict=True))
    for part in explained(burana, "op-1").features:
        assert part.criterion is declared[part.feature]
        assert part.value == (None if math.isnan(vector[part.feature]) else vector[part.feature])
        assert ("missing (" in part.said) == (part.value is None)
        assert part.times == pytest.approx(math.exp(part.log_odds))


def test_a_feature_that_no_longer_runs_serves_no_criterion_and_keeps_its_name(burana):
    burana.decide(operation(1))
    fewer = Explanations(burana.settings.models, Plan(DEFINITIONS[1:], RETAINED_ARRIVALS))
    now, then = fewer.of(burana.burana.ledger, "op-1"), explained(burana, "op-1")
    gone = next(part for part in now.features if part.feature == DEFINITIONS[0].name)
    assert (gone.criterion, gone.said) == (None, f"{gone.feature}: {gone.value:g}")
    assert [part.log_odds for part in now.features] == [part.log_odds for part in then.features]


def test_a_decision_without_features_or_of_a_bundle_that_is_gone_cannot_be_explained(burana, tmp_path):
    burana.decide(operation(1))
    break_features(burana)
    burana.decide(operation(2))
    with pytest.raises(ExplanationError, match="op-2 was decided without features"):
        explained(burana, "op-2")
    with pytest.raises(ExplanationError, match=r"the bundle .*, which decided, is not at hand") as refused:
        Explanations(tmp_path, PLAN).of(burana.burana.ledger, "op-1")
    assert str(tmp_path) not in str(refused.value)
    with pytest.raises(UnknownOperationError):
        explained(burana, "op-3")


def without_contributions(models, folder):
    """A copy of the bundles as an earlier release left them."""
    shutil.copytree(models, folder)
    bundle = champion(folder)
    manifest = msgspec.json.decode((bundle / MANIFEST_FILE).read_bytes())
    del manifest["contributions_sha256"]
    (bundle / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
    (bundle / CONTRIBUTIONS_FILE).unlink()
    return folder


def test_a_bundle_of_before_contributions_were_kept_is_served_and_explains_nothing(models, tmp_path):
    earlier = without_contributions(models, tmp_path / "models")
    with InProcess(Settings(home=tmp_path / "home", models=earlier)) as burana:
        burana.burana.assessor.layers.model.thresholds = ALWAYS_MEDIUM
        decision = burana.decide(operation(1))
        assert (decision["level"], why(decision)) == ("medium", [])
        with pytest.raises(ExplanationError, match="a release that kept no contributions"):
            explained(burana, "op-1")


def test_the_endpoint_explains_a_stored_decision_and_says_why_it_cannot(settings):
    async def story() -> None:
        async with asgi(settings) as ask:
            key = {"authorization": f"Bearer {key_of(settings.database)}"}
            other = {"authorization": f"Bearer {key_of(settings.database, Scope.OPERATIONS)}"}
            await asyncio.sleep(0.3)
            for record in (operation(1), operation(2, operation_id="op-2/explanation")):
                assert (await ask("POST", "/v1/operations", body(record), key)).status == 200
            answer = await ask("GET", "/v1/operations/op-1/explanation", headers=key)
            assert answer.status == 200
            assert answer.json["operation_id"] == "op-1"
            assert {part["criterion"] for part in answer.json["criteria"]} == set(FraudCriterion)
            assert (await ask("GET", "/v1/operations/op-1/explanation", headers=key)).body == answer.body
            assert (await ask("GET", "/v1/operations/op-1/explanation", headers=other)).status == 403
            assert (await ask("GET", "/v1/operations/op-2/explanation", headers=key)).json["decision"]["sequence"] == 2
            assert (await ask("GET", "/v1/operations/op-2/explanation/explanation", headers=key)).json["score"] > 0
            unknown = await ask("GET", "/v1/operations/op-9/explanation", headers=key)
            assert (unknown.status, unknown.json["error"]["code"]) == (404, "unknown_operation")
            assert unknown.json["error"]["message"] == "operation op-9 is not recorded"

    asyncio.run(story())


def test_the_endpoint_answers_409_where_a_bundle_is_gone(models, tmp_path):
    settings = Settings(home=tmp_path / "home", models=tmp_path / "models", refresh_s=0.05)
    shutil.copytree(models, settings.models)

    async def story() -> None:
        async with asgi(settings) as ask:
            key = {"authorization": f"Bearer {key_of(settings.database)}"}
            await asyncio.sleep(0.3)
            assert (await ask("POST", "/v1/operations", body(operation(1)), key)).status == 200
            shutil.rmtree(champion(settings.models))
            refused = await ask("GET", "/v1/operations/op-1/explanation", headers=key)
            assert (refused.status, refused.json["error"]["code"]) == (409, "not_explained")

    asyncio.run(story())


def test_the_command_prints_what_the_endpoint_answers(burana, tmp_path, capsys):
    burana.decide(operation(1))
    arguments = ["--operation", "op-1", "--home", str(burana.settings.home), "--models", str(burana.settings.models)]
    parser = explain.argparse.ArgumentParser()
    explain.add_arguments(parser)
    assert explain.run(parser.parse_args([*arguments, "--json", str(tmp_path / "why.json")])) == 0
    said = capsys.readouterr().out
    assert all(criterion.words in said for criterion in FraudCriterion)
    written = msgspec.json.decode((tmp_path / "why.json").read_bytes(), type=Explanation)
    assert written == explained(burana, "op-1")
