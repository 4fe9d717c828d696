"""The control share: lots that nobody foresees, kept with the decision, counted."""

import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from domain.errors import SettingsError
from serving import replay
from serving.control import MOST_PASSED, MOST_VERIFIED, NO_CONTROL, Lots
from serving.settings import Settings, load
from tests.serving.examples import body, operation
from tests.serving.running import InProcess

KEY = b"a key of these tests only"
IDS = [f"op-{number}" for number in range(20_000)]


def draws(key: bytes) -> np.ndarray:
    lots = Lots(key)
    return np.array([lots.draw(id_) for id_ in IDS])


def test_a_lot_is_the_same_for_the_same_operation_and_key() -> None:
    assert np.array_equal(draws(KEY), draws(KEY))


def test_another_key_draws_others() -> None:
    both = np.corrcoef(draws(KEY), draws(b"another key of these tests"))[0, 1]
    assert abs(both) < 4 / np.sqrt(len(IDS))


def test_lots_are_uniform() -> None:
    lots = draws(KEY)
    assert lots.min() >= 0
    assert lots.max() < 1
    tenths = np.histogram(lots, 10, (0, 1))[0]
    assert np.abs(tenths - 2_000).max() < 4 * np.sqrt(2_000 * 0.9)


@pytest.mark.parametrize(("name", "most"), [("control_verify_share", MOST_VERIFIED), ("control_pass_share", MOST_PASSED)])
def test_a_share_beyond_its_bound_is_refused_with_what_is_allowed(name: str, most: float) -> None:
    assert getattr(Settings(**{name: most}), name) == most
    for wrong in (-0.01, most + 0.01, float("nan")):
        with pytest.raises(SettingsError, match=f"{name}: seen .*, allowed 0 to {most}"):
            load(None, **{name: wrong})


def test_nobody_is_drawn_unless_the_operator_says_so() -> None:
    assert Settings().shares == NO_CONTROL


def test_what_is_drawn_is_verified_said_kept_and_counted(settings: Settings) -> None:
    with InProcess(replace(settings, control_verify_share=0.5)) as running:
        lots = running.settings.lots()
        decisions = [running.decide(operation(number)) for number in range(60)]
        low = [decision for decision in decisions if _would_be_low(decision)]
        drawn = [decision for decision in low if lots.draw(decision["operation_id"]) < 0.5]
        assert 10 < len(drawn) < len(low) - 10
        for decision in low:
            assert _evidence(running, decision)["control"] == {"would_be": "low", "propensity": 0.5}
            assert (decision["level"], decision["action"]) == (
                ("medium", "verify") if decision in drawn else ("low", "approve")
            )
            assert (decision["case_id"] is not None) == (decision in drawn)
        text = running.burana.assessor.metrics.text().decode()
        assert f'burana_control_total{{code="control_verified"}} {len(drawn)}.0' in text


def test_a_repeat_gets_the_stored_answer_and_no_new_lot(settings: Settings) -> None:
    with InProcess(replace(settings, control_verify_share=0.5)) as running:
        first = [running.post("/v1/operations", body(operation(number))).body for number in range(20)]
    with InProcess(replace(settings, control_verify_share=0.0)) as running:
        assert [running.post("/v1/operations", body(operation(number))).body for number in range(20)] == first


def test_what_was_let_pass_has_no_reason_that_stopped_it() -> None:
    """A replay counts by layer what was stopped."""
    reasons = [{"layer": "score", "code": "score_medium"}, {"layer": "control", "code": "control_passed"}]
    answer = msgspec.convert({"level": "low", "score": 0.5, "reasons": reasons}, replay.Answer)
    assert (answer.stopping, answer.drawn) == ((), ("control_passed",))


def test_what_explains_a_score_did_not_stop_anything() -> None:
    reasons = [
        {"layer": "score", "code": "score_low"},
        {"layer": "score", "code": "score_amount"},
        {"layer": "rules", "code": "takeover"},
    ]
    answer = msgspec.convert({"level": "medium", "score": 0.1, "reasons": reasons}, replay.Answer)
    assert answer.stopping == (("rules", "takeover"),)


def _would_be_low(decision: dict) -> bool:
    reasons = decision["reasons"]
    return "score_low" in {reason["code"] for reason in reasons} and {reason["layer"] for reason in reasons} <= {
        "score",
        "control",
    }


def _evidence(running: InProcess, decision: dict) -> dict:
    entry = running.burana.ledger.find("operation", decision["operation_id"])
    return json.loads(entry.evidence)
