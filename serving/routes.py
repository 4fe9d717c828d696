"""Every route of the interface, once: what it takes, what it answers, and every status that it can answer with."""

from typing import Any, NamedTuple

from casework.keys import Scope
from casework.proposals import Proposal
from casework.registry_feeds import FeedPage, Taken
from casework.registry_quality import Quality
from domain.decision import Decision
from domain.events import Event, Outcome
from domain.operation import Operation
from serving.answers import Alive, Description, Explanation, Readiness, StoredOperation
from serving.audit_api import AuditPage, Sizes
from serving.audit_views import AuditLine, AuditLines, AuditProof, Consistency
from serving.contracts import Recorded
from serving.coverage.cells import Map
from serving.coverage_api import PICTURE, OverDays
from serving.registry_answers import (
    EntriesAsked,
    EntriesTold,
    EntryTold,
    ExportAsked,
    FeedAsked,
    Imported,
    Listed,
    ProposalsAsked,
    ProposalsTold,
    Proposed,
    QualityAsked,
    ToDecide,
    ToFind,
    ToImport,
    ToList,
    ToRemove,
)
from serving.rule_views import (
    Asked,
    Because,
    Change,
    Chosen,
    EditedRule,
    Policy,
    PolicyLines,
    RuleKept,
    RuleLines,
    SavedRule,
    Savings,
    Vocabulary,
)  # fmt: skip

EXAMPLE_OPERATION = {
    "operation_id": "2026-11-22-000001", "occurred_at": "2026-11-22T10:15:00+06:00", "kind": "domestic_transfer",
    "amount": {"minor": 1250000, "currency": "KGS"}, "sender": {"customer_id": "c-1001", "account": "1240020000012345"},
    "recipient": {"phone": "0555 123 456", "institution": "bank-2"}, "device": {"id": "d-77", "ip": "192.0.2.10"},
}  # fmt: skip
EXAMPLE_RULE = {
    "id": "large_to_stranger", "criterion": "R61", "level": "medium", "owner": "risk", "ground": "policy 4.2",
    "expression": "amount_tyiyn >= $least && customer_sent_recipient_is_new != 0.0", "parameters": {"least": 20000000},
    "text": "200,000 som or more to a new recipient", "version": 0,
}  # fmt: skip
EXAMPLES: dict[type, dict[str, Any]] = {
    Operation: EXAMPLE_OPERATION,
    Event: {
        "event_id": "2026-11-22-e-17", "occurred_at": "2026-11-22T10:14:00+06:00", "type": "login_failed",
        "customer": {"customer_id": "c-1001"},
    },
    Outcome: {
        "outcome_id": "2026-11-25-o-3", "operation_id": "2026-11-22-000001", "verdict": "fraud",
        "known_at": "2026-11-25T09:00:00+06:00", "source": "customer_notice", "scheme": "false_call",
    },
    ToFind: {"kind": "phone", "value": "0555 123 456"},
    ToList: {
        "listing": {"kind": "phone", "value": "0555 123 456", "list": "prohibited", "ground": "customer_notice", "source": "own_case"},
        "reason": "the customer lost money to it",
    },
    ToRemove: {"ground": "error_found", "reason": "another customer's number"},
    ToImport: {
        "file": "letter 7", "reason": "letter 7 of the National Bank", "dry_run": True,
        "lines": [{"kind": "phone", "value": "0555 123 456", "list": "watched", "ground": "national_bank", "source": "national_bank"}],
    },
    FeedPage: {
        "after": 0, "up_to": 1, "issued_at": "2026-11-22T10:00:00+06:00",
        "changes": [{"sequence": 1, "action": "add", "kind": "phone", "value": "0555 123 456"}],
    },
    ToDecide: {"verdict": "approved", "reason": "compared with the letter"},
    EditedRule: {"rule": EXAMPLE_RULE, "reason": "three cases of last week"},
    Chosen: {"version": 1, "reason": "it caught what it should in the backtest"},
    Because: {"reason": "it stops too many genuine customers"},
}  # fmt: skip

REFUSALS = {
    400: "not HTTP, not JSON, or a header that stands twice",
    401: "no live key, or a signature that is missing or wrong",
    403: "the key lacks the scope",
    404: "not recorded",
    408: "the request did not come in time",
    409: "in conflict with what is recorded: another body under the same id, nothing to explain a score by, or no checkpoint to prove an entry by",
    413: "the body is too large",
    414: "the address is too long",
    415: "the body is not JSON as it is: Content-Type or Content-Encoding",
    417: "an expectation other than 100-continue",
    422: "a value is refused: field, seen, allowed",
    429: "more requests than the key may send: come again after Retry-After",
    431: "the headers are too large",
    500: "a failure that nobody expected; the operator's log has it under `reference`",
    503: "nothing was recorded: send it again after Retry-After",
}
CONNECTION = (400, 408, 414, 431, 500)
"""What any request can meet before it comes to a route, and the failure that nobody expected."""
CALLER = (401, 403, 429)


class Route(NamedTuple):
    """One operation of the interface.

    scope: what a key must have, None where no key is asked for; takes: the record in the body; gives: the answer's type, or the
    media type of one that is not JSON; refusals: the statuses beside 200; asks: what may stand after the question mark.
    """

    method: str
    path: str
    operation_id: str
    summary: str
    scope: Scope | None
    takes: type | None
    gives: Any
    refusals: tuple[int, ...]
    asks: type | None = None


_LOOKED = (*CONNECTION, *CALLER, 503)
_RECORDED = (*CONNECTION, *CALLER, 409, 413, 415, 417, 422, 503)
_FOUND = tuple(status for status in _RECORDED if status != 409)
ROUTES = (
    Route("POST", "/v1/operations", "assess", "Assess an operation: level, action, score and reasons, once they are durable",
          Scope.OPERATIONS, Operation, Decision, _RECORDED),
    Route("POST", "/v1/events", "record_event", "Record an event of a customer", Scope.EVENTS, Event, Recorded, _RECORDED),
    Route("POST", "/v1/outcomes", "record_outcome", "Record what an operation turned out to be", Scope.OUTCOMES, Outcome,
          Recorded, _RECORDED),
    Route("GET", "/v1/operations/{operation_id}", "decision", "A decision with its evidence", Scope.READ, None,
          StoredOperation, (*CONNECTION, *CALLER, 404, 503)),
    Route("GET", "/v1/operations/{operation_id}/explanation", "explanation",
          "What the score of a decision was made of: criteria and features, exactly", Scope.READ, None, Explanation,
          (*CONNECTION, *CALLER, 404, 409, 503)),
    Route("GET", "/v1/audit", "audit", "A page of the audit log, oldest first", Scope.AUDIT, None, AuditLines,
          (*CONNECTION, *CALLER, 422, 503), AuditPage),
    Route("GET", "/v1/audit/checkpoint", "audit_checkpoint", "The last signed checkpoint of the audit log (C2SP tlog-checkpoint)",
          Scope.AUDIT, None, "text/plain", (*CONNECTION, *CALLER, 404, 409)),
    Route("GET", "/v1/audit/consistency", "audit_consistency", "What proves that the audit log only grew (RFC 9162)",
          Scope.AUDIT, None, Consistency, (*CONNECTION, *CALLER, 404, 422, 503), Sizes),
    Route("GET", "/v1/audit/{audit_id}", "audit_entry", "An entry of the audit log", Scope.AUDIT, None, AuditLine,
          (*CONNECTION, *CALLER, 404, 422, 503)),
    Route("GET", "/v1/audit/{audit_id}/proof", "audit_proof", "What proves that an entry is in the signed audit log (RFC 9162)",
          Scope.AUDIT, None, AuditProof, (*CONNECTION, *CALLER, 404, 409, 422, 503)),
    Route("GET", "/v1/registry", "registry", "A page of the live entries, or of those of a past moment", Scope.REGISTRY, None,
          EntriesTold, (*CONNECTION, *CALLER, 422, 503), EntriesAsked),
    Route("POST", "/v1/registry", "list_identifier", "List an identifier", Scope.REGISTRY, ToList, Listed, _RECORDED),
    Route("POST", "/v1/registry/search", "find_identifier", "The live entries of an identifier, or those of a past moment; in the body, as "
          "addresses are logged on the way", Scope.REGISTRY, ToFind, EntriesTold, _FOUND),
    Route("POST", "/v1/registry/import", "import_entries", "Propose to list many at once, or only tell what that would change",
          Scope.REGISTRY, ToImport, Imported, _RECORDED),
    Route("GET", "/v1/registry/export", "export_entries", "The live entries of a kind as CSV, in the form of an import",
          Scope.REGISTRY, None, "text/csv", (*CONNECTION, *CALLER, 422, 503), ExportAsked),
    Route("GET", "/v1/registry/feed", "feed", "Own cases' changes of a list after a sequence number, for others to follow",
          Scope.REGISTRY, None, FeedPage, (*CONNECTION, *CALLER, 422, 503), FeedAsked),
    Route("POST", "/v1/registry/feeds/{feed}", "take_feed", "Take a page of an approved feed; one that came before changes nothing",
          Scope.REGISTRY, FeedPage, Taken, (*_RECORDED, 404)),
    Route("GET", "/v1/registry/quality", "registry_quality", "Relevance, completeness and timeliness of the registry",
          Scope.REGISTRY, None, Quality, (*CONNECTION, *CALLER, 422, 503), QualityAsked),
    Route("GET", "/v1/registry/entries/{entry_id}", "registry_entry", "An entry and the history of its identifier", Scope.REGISTRY, None,
          EntryTold, (*CONNECTION, *CALLER, 404, 422, 503)),
    Route("POST", "/v1/registry/entries/{entry_id}/removal", "propose_removal", "Propose to take an entry off its list", Scope.REGISTRY,
          ToRemove, Proposed, (*_RECORDED, 404)),
    Route("GET", "/v1/proposals", "proposals", "What waits for a second person, the oldest first", Scope.APPROVE, None,
          ProposalsTold, (*CONNECTION, *CALLER, 422, 503), ProposalsAsked),
    Route("GET", "/v1/proposals/{proposal_id}", "proposal", "A proposal and what became of it", Scope.APPROVE, None, Proposal,
          (*CONNECTION, *CALLER, 404, 422, 503)),
    Route("POST", "/v1/proposals/{proposal_id}/decision", "decide", "Approve or refuse what another person proposed", Scope.APPROVE,
          ToDecide, Proposal, (*_RECORDED, 404)),
    Route("GET", "/v1/rules", "rules", "Every rule, where it stands, and the policy in force", Scope.RULES, None, RuleLines, _LOOKED),
    Route("GET", "/v1/rules/{rule_id}", "rule", "A saving of a rule, with every text", Scope.RULES, None, SavedRule,
          (*_LOOKED, 404, 422), Asked),
    Route("GET", "/v1/rules/{rule_id}/history", "rule_history", "Every saving of a rule", Scope.RULES, None, Savings,
          (*_LOOKED, 404, 422)),
    Route("PUT", "/v1/rules/{rule_id}", "save_rule", "Save a rule upon the version that it was edited from; it does not run by that",
          Scope.RULES, EditedRule, RuleKept, (*_RECORDED, 404)),
    Route("POST", "/v1/rules/{rule_id}/shadow", "shadow_rule", "Let a saved rule run and be counted", Scope.RULES, Chosen, Change,
          (*_RECORDED, 404)),
    Route("POST", "/v1/rules/{rule_id}/live", "propose_rule", "Propose that a saved rule acts; another person approves", Scope.RULES,
          Chosen, Change, (*_RECORDED, 404)),
    Route("POST", "/v1/rules/{rule_id}/off", "rule_off", "Take a rule out of shadow, or propose that it acts no more", Scope.RULES,
          Because, Change, (*_RECORDED, 404)),
    Route("GET", "/v1/policies", "policies", "The rule sets that were in force, the last one first", Scope.RULES, None, PolicyLines, _LOOKED),
    Route("GET", "/v1/policies/{policy_id}", "policy", "A rule set with its rules and all their texts", Scope.RULES, None, Policy,
          (*_LOOKED, 404, 422)),
    Route("POST", "/v1/policies/{policy_id}/roll-back", "roll_back", "Propose a former rule set in place of the one in force",
          Scope.RULES, Because, Change, (*_RECORDED, 404)),
    Route("GET", "/v1/rule-vocabulary", "rule_vocabulary", "What a rule may name, with type and meaning", Scope.RULES, None, Vocabulary,
          _LOOKED),
    Route("GET", "/v1/rule-coverage", "rule_coverage", "What serves each criterion at each kind of operation, and what that found lately",
          Scope.RULES, None, Map, (*_LOOKED, 422), OverDays),
    Route("GET", "/v1/rule-coverage/picture", "rule_coverage_picture", "The same as a picture", Scope.RULES, None, PICTURE,
          (*_LOOKED, 422), OverDays),
    Route("GET", "/livez", "alive", "The process is alive", None, None, Alive, CONNECTION),
    Route("GET", "/readyz", "ready", "The process takes records", None, None, Readiness, (*CONNECTION, 503)),
    Route("GET", "/metrics", "metrics", "Prometheus metrics", Scope.METRICS, None, "text/plain", (*CONNECTION, *CALLER)),
    Route("GET", "/openapi.json", "description", "This description", Scope.READ, None, Description, (*CONNECTION, *CALLER)),
    Route("GET", "/docs", "page", "The description as a page", Scope.READ, None, "text/html", (*CONNECTION, *CALLER)),
)  # fmt: skip
