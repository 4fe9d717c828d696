import itertools
import json
import sys
import tomllib

import numpy as np
import pytest

from benchmarks.endpoint import report, rounds, rule_set, world
from benchmarks.endpoint.__main__ import Wanted, measure
from benchmarks.endpoint.disk import fdatasync
from benchmarks.endpoint.generator import closed, exactly, opened, request
from benchmarks.endpoint.processes import BenchmarkError, Server, free_port
from features.definitions import DEFINITIONS, RETAINED_ARRIVALS
from features.feature_set import FeatureSet
from features.plan import Plan
from serving.rules import Rules, State

BODY = request("/v1/operations", b'{"operation_id":"op-1"}')


@pytest.fixture(scope="module")
def figures(request, tmp_path_factory):
    """A whole small run: what the figures are named, not how large they are."""
    if not request.config.getoption("--peers"):
        pytest.skip("two minutes, most of them starts of the peers: asked for with --peers")
    wanted = Wanted(world.QUICK, rounds.QUICK, postgresql=False, soak=80)
    return measure(wanted, tmp_path_factory.mktemp("serving_benchmark"))


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.endpoint.plain:echo", "--port", str(port), "--lifespan", "off",
               "--log-level", "warning", "--no-access-log"]  # fmt: skip
    with Server("echo", command, port, "/readyz", tmp_path_factory.mktemp("echo") / "log") as server:
        yield server


def test_a_closed_loop_counts_every_answer_and_its_latency(echo):
    done = closed(echo.port, itertools.repeat(BODY), 4, 0.3)
    assert len(done.latencies) > 50
    assert 0 < done.quantiles_ms()["p50"] <= done.quantiles_ms()["p99"] <= done.quantiles_ms()["p999"]
    assert done.rate == pytest.approx(len(done.latencies) / done.seconds)


def test_a_loop_of_a_count_sends_so_many_requests_and_no_more(echo):
    requests = itertools.repeat(BODY, 50)
    assert len(exactly(echo.port, requests, 4, 41).latencies) == 41
    assert len(list(requests)) == 9
    assert len(exactly(echo.port, itertools.repeat(BODY), 4, 2).latencies) == 2


def test_an_open_loop_keeps_its_rate_and_counts_from_when_a_request_was_due(echo):
    done = opened(echo.port, itertools.repeat(BODY), 200, 0.5)
    assert len(done.latencies) == 100
    assert done.seconds > 0.45
    assert (done.latencies > 0).all()


def test_a_slow_server_is_late_for_what_was_due_meanwhile(echo):
    """More than it can answer: latency grows from request to request, though each alone is quick."""
    latencies = opened(echo.port, itertools.repeat(BODY), 200_000, 0.05).latencies
    assert np.median(latencies[-1_000:]) > np.median(latencies[:1_000])


def test_requests_that_end_and_answers_other_than_200_end_the_measuring(echo):
    with pytest.raises(BenchmarkError, match="no more requests"):
        closed(echo.port, itertools.repeat(BODY, 3), 1, 5)
    with pytest.raises(BenchmarkError, match="allowed 200"):
        closed(echo.port, itertools.repeat(b"no request at all\r\n\r\n"), 1, 5)


def test_the_cpu_and_memory_of_a_server_are_its_own(echo):
    before = echo.cpu_s()
    closed(echo.port, itertools.repeat(BODY), 4, 0.5)
    assert 0.05 < echo.cpu_s() - before < 5
    assert 5 < echo.resident_mib()["own"] < 500


def test_a_server_that_does_not_start_is_told_with_what_it_said(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    with pytest.raises(BenchmarkError, match=r"exit code 1.*\n.*no such thing"):
        Server("nobody", command, free_port(), "/readyz", tmp_path / "log")


def test_thirty_rules_are_live_and_well_typed():
    rules = Rules(rule_set.content(), FeatureSet(Plan(DEFINITIONS, RETAINED_ARRIVALS)).names).rules
    assert [rule.state for rule in rules] == [State.LIVE] * rule_set.RULES
    texts = [rule["expression"] for rule in tomllib.loads(rule_set.content())["rules"]]
    assert len(set(texts)) == rule_set.RULES, "a variation asks for something else than its original"


def test_every_append_is_timed(tmp_path):
    assert (fdatasync(tmp_path, 5) > 0).all()
    assert not list(tmp_path.iterdir())


def test_every_figure_of_the_bar_is_there_and_goes_into_json(figures):
    told = json.loads(json.dumps(figures))
    for peer in ("stock", "mlflow_serve", "fastapi_constant", "echo"):
        assert told["throughput_ratio"][peer] > 0
        assert told["p50_ratio"][peer] > 0
    assert told["throughput_ratio"]["postgresql_over_sqlite"] is None, "it was left out"
    for name in ("p50_over_fdatasync", "p99_over_p50_at_1000", "ready_s", "ready_after_kill_s", "mib_per_100000_accounts"):
        assert told[name] > 0
    assert "p50 alone over fdatasync" in report.table(figures)


def test_ours_decides_with_everything_it_has_as_the_peers_do_not(figures):
    served = figures["world"]
    assert (served["features"], served["trees"], served["rules"], served["degraded"]) == (226, 30, 30, 0)
    assert served["decided"] > 0
    assert figures["soak"]["operations"] == 80
