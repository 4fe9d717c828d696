"""Rules over HTTP: an officer's way by keys of people; who edits upon an old version, or acts alone, is told."""

import json
import time
from typing import Any

import pytest

from casework import approvals, rule_sets
from casework import database as databases
from casework.keys import Scope
from casework.proposals import Ruling
from serving.routes import EXAMPLE_RULE
from tests.serving.running import Answer, Server, file_in, key_of

TEXTS = {
    "text_ru": "Много",
    "text_ky": "Көп",
    "customer_ru": "Проверим",
    "customer_ky": "Текшеребиз",
    "customer_en": "We check",
}


class Officer:
    """Somebody with a key of his own, who calls a server."""

    def __init__(self, server: Server, name: str, *scopes: Scope) -> None:
        key = key_of(file_in(server.home), *scopes, caller=name)
        self._server, self.headers = server, {"authorization": f"Bearer {key}"}
        while (
            server.ask("GET", "/v1/rules", None, self.headers).status == 401
        ):  # the server follows new keys within a second
            time.sleep(0.2)

    def __call__(self, method: str, path: str, said: Any = None, status: int = 200) -> Any:
        content = None if said is None else json.dumps(said).encode()
        answer: Answer = self._server.ask(method, path, content, self.headers)
        assert answer.status == status, answer.body
        return answer.json


@pytest.fixture(scope="module")
def aigul(server: Server) -> Officer:
    return Officer(server, "aigul", Scope.RULES)


@pytest.fixture(scope="module")
def bakyt(server: Server) -> Officer:
    return Officer(server, "bakyt", Scope.RULES)


def edited(version: int = 0, id_: str = "large_to_stranger", **changes: Any) -> dict[str, Any]:
    return {"rule": {**EXAMPLE_RULE, **TEXTS, "id": id_, "version": version, **changes}, "reason": "a case of last week"}


def approve(server: Server, proposal_id: int) -> None:
    with databases.connect(file_in(server.home)) as database:
        approvals.decide(database, proposal_id, Ruling.APPROVED, "cholpon", "I looked")


def test_a_rule_goes_from_a_draft_to_acting_and_off(server: Server, aigul: Officer) -> None:
    path = "/v1/rules/large_to_stranger"
    assert aigul("PUT", path, edited()) == {"rule": "large_to_stranger", "version": 1}
    saved = aigul("GET", path)
    assert (saved["saved_by"], saved["rule"]["customer_ky"]) == ("aigul", "Текшеребиз")
    policy = aigul("POST", f"{path}/shadow", {"version": 1, "reason": "to count it"})["policy"]
    assert aigul("GET", "/v1/rules")["policy"] == policy
    proposed = aigul("POST", f"{path}/live", {"version": 1, "reason": "it is good"})
    assert proposed["policy"] is None
    approve(server, proposed["proposal_id"])
    line = next(one for one in aigul("GET", "/v1/rules")["rules"] if one["id"] == "large_to_stranger")
    assert (line["state"], line["live"], line["shadow"], line["version"]) == ("live", 1, None, 1)
    approve(server, aigul("POST", f"{path}/off", {"reason": "too wide"})["proposal_id"])
    assert [one["rule"].get("state", "draft") for one in aigul("GET", f"{path}/history")["savings"]] == ["draft", "off"]


def test_of_two_officers_who_edit_at_once_one_wins_and_the_other_is_told_who_and_when(
    aigul: Officer, bakyt: Officer
) -> None:
    path = "/v1/rules/edited_by_two"
    aigul("PUT", path, edited(id_="edited_by_two"))
    bakyt("PUT", path, edited(1, "edited_by_two", text="as Bakyt has it"))
    refused = aigul("PUT", path, edited(1, "edited_by_two", text="as Aigul has it"), status=409)["error"]
    assert refused["code"] == "conflict"
    assert "is at version 2, saved by bakyt at 20" in refused["message"]
    assert aigul("GET", path)["rule"]["text"] == "as Bakyt has it"
    assert aigul("GET", f"{path}?version=1")["rule"]["text"] == EXAMPLE_RULE["text"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"expression": "amount_tyin > $least"}, "1:1: undeclared reference to 'amount_tyin'; nearest known: amount_tyiyn"),
        ({"parameters": {}}, "$least"),
        ({"id": "another"}, "as in the path"),
        ({"criterion": "R1"}, "R1"),
        ({"colour": "red"}, "colour"),
        ({"kinds": []}, "kinds"),
        ({"owner": ""}, "owner"),
    ],
)
def test_a_rule_that_does_not_fit_is_422_with_what_is_wrong(aigul: Officer, changes, says) -> None:
    said = aigul(
        "PUT",
        "/v1/rules/large_one",
        edited(id_="large_one") | {"rule": {**EXAMPLE_RULE, "id": "large_one", **changes}},
        status=422,
    )
    assert says in said["error"]["message"]


def test_what_is_not_kept_is_404_and_a_change_needs_a_reason(aigul: Officer) -> None:
    for method, path, said in (
        ("GET", "/v1/rules/nothing", None), ("GET", "/v1/rules/nothing/history", None), ("GET", "/v1/policies/rules-0", None),
        ("POST", "/v1/rules/nothing/shadow", {"version": 1, "reason": "x"}), ("POST", "/v1/rules/nothing/off", {"reason": "x"}),
        ("POST", "/v1/policies/rules-0/roll-back", {"reason": "x"}), ("GET", "/v1/rules/takeover?version=9", None),
    ):  # fmt: skip
        assert aigul(method, path, said, status=404)["error"]["code"] == "unknown_rule"
    assert aigul("POST", "/v1/rules/takeover/off", {"reason": "  "}, status=422)["error"]["field"] == "reason"


def test_policies_are_listed_read_with_every_text_and_rolled_back_by_two(
    server: Server, aigul: Officer, bakyt: Officer
) -> None:
    first = aigul("GET", "/v1/policies")["policies"][-1]
    assert (first["by"], first["reason"]) == ("burana", "starter set of this release")
    rules = aigul("GET", f"/v1/policies/{first['policy']}")["rules"]
    assert {rule["id"] for rule in rules} >= {"takeover", "false_investment"}
    assert all(rule["text_ky"] and rule["customer_ru"] for rule in rules)
    aigul("PUT", "/v1/rules/counted", edited(id_="counted"))
    aigul("POST", "/v1/rules/counted/shadow", {"version": 1, "reason": "to count it"})
    proposed = aigul("POST", f"/v1/policies/{first['policy']}/roll-back", {"reason": "as it was"})
    approve(server, proposed["proposal_id"])
    with databases.connect(file_in(server.home)) as database:
        current = rule_sets.live(database)
    assert current is not None
    assert f"rules-{current.version}" == first["policy"]


def test_the_vocabulary_is_told(aigul: Officer) -> None:
    told = aigul("GET", "/v1/rule-vocabulary")
    assert "listed" in {one["name"] for one in told["operation"]}
    assert len(told["features"]) > 200


def test_a_key_without_the_scope_stays_outside(server: Server) -> None:
    other = Officer(server, "a system", Scope.READ, Scope.OPERATIONS)
    assert other("GET", "/v1/rules", status=403)["error"]["allowed"] == "rules"
    assert other("PUT", "/v1/rules/large_to_stranger", edited(), status=403)["error"]["allowed"] == "rules"


def test_a_body_that_is_too_large_or_not_json_is_refused(aigul: Officer, server: Server) -> None:
    assert aigul("PUT", "/v1/rules/large_one", {"rule": "x" * 2_000_000}, status=413)["error"]["code"] == "too_large"
    for content, headers, status in ((b"{", {}, 400), (b"{}", {"content-type": "text/plain"}, 415)):
        answer = server.ask("PUT", "/v1/rules/large_one", content, {**aigul.headers, **headers})
        assert answer.status == status
