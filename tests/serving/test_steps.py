"""Every step of degrading, provoked by a real fault, is what is declared: in the answer, in the log and in the metrics; none is low."""

import itertools
import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from domain.bundle import Manifest, champion
from domain.decision import Degraded
from domain.levels import RiskLevel
from serving.rules import Rules
from serving.scoring import Model
from serving.settings import Settings
from tests.databases import refusing
from tests.serving.broken_models import BROKEN_MODELS
from tests.serving.examples import START, body, operation
from tests.serving.faults import BROKEN_RULE
from tests.serving.places import OPERATIONS, Place, Running
from tests.serving.running import InProcess
from tests.serving.steps import AS_EVER, COMMAND, PAGE, STEPS, Step, page


@pytest.fixture
def place(settings: Settings, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest) -> Place:
    caplog.set_level(logging.INFO)
    return Place(settings, caplog, request.getfixturevalue)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_each_step_is_as_declared_in_answer_log_and_metric(step: Step, place: Place) -> None:
    with step.fault(place) as running:
        answer = running.answer()
        assert answer.status == step.status
        if step.status == 503:
            assert json.loads(answer.body)["error"]["code"] == "unavailable"
        if step.level:
            decision = json.loads(answer.body)
            level = RiskLevel.LOW.word if step.level == AS_EVER else step.level
            assert (decision["level"], decision["degraded"]) == (level, list(step.degraded))
        soon(running, lambda: step.log in running.log(), f"the log says {step.log!r}")
        if step.metric:
            soon(running, lambda: sample(running.metrics(), step.metric) > 0, f"{step.metric} rises")


def soon(running: Running, claim: Callable[[], bool], words: str) -> None:
    until = time.monotonic() + 15
    while not claim():
        assert time.monotonic() < until, f"not true: {words}\n{running.log()}"
        running.wait()


def sample(metrics: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", metrics, re.MULTILINE)
    return 0.0 if found is None else float(found[1])


def test_without_a_fault_the_operation_is_low_and_nothing_has_risen(burana: InProcess) -> None:
    decision = burana.decide(operation(2))
    assert (decision["level"], decision["degraded"]) == ("low", [])
    told = burana.burana.metrics.text().decode()
    assert {step.metric: sample(told, step.metric) for step in STEPS.values() if sample(told, step.metric)} == {}


def test_the_table_of_the_architecture_is_that_of_the_declarations() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), f"the steps of degrading in ARCHITECTURE.md are stale: run `{COMMAND}`"


def test_every_step_that_an_answer_can_name_is_declared_and_none_is_low() -> None:
    assert {each for step in STEPS.values() for each in step.degraded} == set(Degraded)
    assert all(step.level in ("", AS_EVER, "medium") for step in STEPS.values())
    assert all(step.level == "medium" for step in STEPS.values() if step.degraded)


# ---- two at once -----------------------------------------------------------------------------------------------------------

Damage = Callable[[InProcess], AbstractContextManager[None]]


@contextmanager
def _set(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    yield
    setattr(owner, name, before)


def a_model_that(how: str) -> Damage:
    def damage(burana: InProcess) -> AbstractContextManager[None]:
        stated = msgspec.json.decode((champion(burana.settings.models) / "manifest.json").read_bytes(), type=Manifest)
        return _set(burana.burana.assessor.layers, "model", Model(stated, BROKEN_MODELS[how]))

    return damage


def a_rule_that_fails(burana: InProcess) -> AbstractContextManager[None]:
    layers = burana.burana.assessor.layers
    return _set(layers, "rules", Rules(BROKEN_RULE, layers.features.names, "broken"))


@contextmanager
def broken_features(burana: InProcess) -> Iterator[None]:
    engine = burana.burana.assessor.records.engine
    with _set(engine, "_row", engine._row[:3]):
        yield
    burana.run(burana.burana.recover())


@contextmanager
def features_behind(burana: InProcess) -> Iterator[None]:
    burana.burana.assessor.records.stale = True
    yield
    burana.run(burana.burana.recover())


@contextmanager
def a_ledger_that_refuses(burana: InProcess) -> Iterator[None]:
    with refusing(burana.settings.database):
        yield
    burana.run(burana.burana.recover())


DAMAGES: dict[str, Damage] = {
    "no model": lambda burana: _set(burana.burana.assessor.layers, "model", None),
    "a model that raises": a_model_that("raises"),
    "a model that gives NaN": a_model_that("NaN"),
    "a model that gives -0.1": a_model_that("negative"),
    "no explanation": lambda burana: _set(burana.burana.assessor.layers.model, "explainer", None),
    "a rule that fails": a_rule_that_fails,
    "features that cannot be read": broken_features,
    "features that are behind": features_behind,
    "no time": lambda burana: _set(burana.burana.assessor, "_deadline_s", -1.0),
    "a ledger that refuses": a_ledger_that_refuses,
}
HARMLESS = {"no explanation"}
"""Alone it changes no level."""


def test_whatever_two_things_fail_together_nothing_is_low(settings: Settings) -> None:
    records = (operation(n, occurred_at=(START + timedelta(hours=n)).isoformat()) for n in itertools.count(1))
    with InProcess(replace(settings, refresh_s=3_600)) as burana:
        assert burana.decide(next(records))["level"] == "low"
        for pair in itertools.combinations_with_replacement(DAMAGES, 2):
            with ExitStack() as damaged:
                for name in sorted(set(pair), key=list(DAMAGES).index, reverse=True):
                    damaged.enter_context(DAMAGES[name](burana))
                answers = [burana.post(OPERATIONS, body(next(records))) for _ in range(3)]
            assert never_low(pair, answers), (pair, answers)
            after = burana.decide(next(records))
            assert after["degraded"] == [], (pair, "leaves nothing behind")


def never_low(pair: tuple[str, str], answers: list[Any]) -> bool:
    if "a ledger that refuses" in pair:
        return all(answer.status == 503 for answer in answers)
    if set(pair) <= HARMLESS:
        return True
    return all(answer.json["level"] == "medium" and answer.json["degraded"] for answer in answers)
