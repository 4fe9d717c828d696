"""The routes of rules: look, save, count in shadow, propose, turn off, roll back. Who says so is the caller of the key."""

from collections.abc import Callable
from typing import Annotated, Any, Protocol

import msgspec
from fastapi import APIRouter, Depends, Request, Response
from msgspec import Struct

from casework import rule_life, rule_sets, rule_versions
from casework.database import Database
from casework.keys import Scope
from domain.errors import InputError, UnknownRuleError
from features.feature_set import FeatureSet
from features.plan import Plan
from serving.contracts import decoded
from serving.queries import asked
from serving.rule_desk import Desk
from serving.rule_views import (
    Asked,
    Because,
    Change,
    Chosen,
    EditedRule,
    PolicyLines,
    RuleKept,
    RuleLines,
    Savings,
    Vocabulary,
    line,
    policy,
    policy_line,
    saving,
)  # fmt: skip
from serving.rule_vocabulary import as_data
from serving.spoken import Guarded, Spoken, spoken

EDITED, CHOSEN, BECAUSE = (msgspec.json.Decoder(type_) for type_ in (EditedRule, Chosen, Because))


class Ruled(Guarded, Protocol):
    """What the routes ask."""

    database: Database
    plan: Plan


def router(running: Callable[[], Ruled], allow: Callable[[Request, Scope], None]) -> APIRouter:
    """allow: refuses a caller whose key lacks a scope."""
    routes = APIRouter(prefix="/v1")
    _add_looking(routes, running, allow)
    _add_doing(routes, lambda: Desk(running().database, FeatureSet(running().plan).names), spoken(running, Scope.RULES))
    return routes


def _add_looking(routes: APIRouter, running: Callable[[], Ruled], allow: Callable[[Request, Scope], None]) -> None:
    @routes.get("/rules")
    def rules(request: Request) -> Response:
        allow(request, Scope.RULES)
        current = rule_sets.live(running().database)
        standings = rule_life.standings(running().database)
        return _json(RuleLines(None if current is None else f"rules-{current.version}", list(map(line, standings))))

    @routes.get("/rules/{rule_id}")
    def rule(rule_id: str, request: Request) -> Response:
        allow(request, Scope.RULES)
        return _json(saving(rule_versions.of(running().database, rule_id, asked(request, Asked).version)))

    @routes.get("/rules/{rule_id}/history")
    def history(rule_id: str, request: Request) -> Response:
        allow(request, Scope.RULES)
        return _json(Savings(list(map(saving, rule_versions.history(running().database, rule_id)))))

    @routes.get("/policies")
    def policies(request: Request) -> Response:
        allow(request, Scope.RULES)
        return _json(PolicyLines(list(map(policy_line, rule_sets.history(running().database)))))

    @routes.get("/policies/{policy_id}")
    def one_policy(policy_id: str, request: Request) -> Response:
        allow(request, Scope.RULES)
        if (found := rule_sets.of_version(running().database, policy_id.removeprefix("rules-"))) is None:
            raise UnknownRuleError(f"no {policy_id[:64]} was ever in force")
        return _json(policy(found))

    @routes.get("/rule-vocabulary")
    def vocabulary(request: Request) -> Response:
        allow(request, Scope.RULES)
        return _json(msgspec.convert(as_data(FeatureSet(running().plan).entries), Vocabulary))


def _add_doing(routes: APIRouter, desk: Callable[[], Desk], listen: Callable[..., Any]) -> None:
    said_by = Depends(listen)

    @routes.put("/rules/{rule_id}")
    def save(rule_id: str, said: Annotated[Spoken, said_by]) -> Response:
        edited: EditedRule = decoded(EDITED, said.body)
        if edited.rule.id != rule_id:
            raise InputError("rule.id", edited.rule.id, f"{rule_id[:64]}, as in the path")
        return _json(RuleKept(rule_id, desk().save(edited.rule, said.person, edited.reason)))

    @routes.post("/rules/{rule_id}/shadow")
    def shadow(rule_id: str, said: Annotated[Spoken, said_by]) -> Response:
        chosen: Chosen = decoded(CHOSEN, said.body)
        return _json(Change(desk().shadow(rule_id, chosen.version, said.person, chosen.reason), None))

    @routes.post("/rules/{rule_id}/live")
    def live(rule_id: str, said: Annotated[Spoken, said_by]) -> Response:
        chosen: Chosen = decoded(CHOSEN, said.body)
        return _json(Change(None, desk().propose(rule_id, chosen.version, said.person, chosen.reason)))

    @routes.post("/rules/{rule_id}/off")
    def off(rule_id: str, said: Annotated[Spoken, said_by]) -> Response:
        because: Because = decoded(BECAUSE, said.body)
        return _json(Change(*desk().off(rule_id, said.person, because.reason)))

    @routes.post("/policies/{policy_id}/roll-back")
    def roll_back(policy_id: str, said: Annotated[Spoken, said_by]) -> Response:
        because: Because = decoded(BECAUSE, said.body)
        return _json(Change(None, desk().roll_back(policy_id.removeprefix("rules-"), said.person, because.reason)))


def _json(answer: Struct) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")
