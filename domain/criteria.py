"""The regulation's fraud criteria (para. 15, R59-R74) and the schemes that the Anti-Fraud Center counts (K13)."""

from enum import StrEnum


class FraudCriterion(StrEnum):
    """The basis on which an operation is classed (R58); the value is the requirement's number."""

    FREQUENCY = "R59"
    GROUP = "R60"
    AMOUNT = "R61"
    DEVICE = "R62"
    TIME = "R63"
    FAILED_LOGINS = "R64"
    CONTACT_CHANGES = "R65"
    KNOWN_SCHEME = "R66"
    RETURNS = "R67"
    SUSPICIOUS_RECIPIENT = "R68"
    SPLITTING = "R69"
    ATYPICAL_SOURCE = "R70"
    AUTHORISATION_CHANGE = "R71"
    PASS_THROUGH = "R72"  # noqa: S105 not a password
    COLLECTING = "R73"
    POLICY = "R74"


class Scheme(StrEnum):
    """How the fraud worked, as an outcome names it; false investment, calls and stores are the Center's three (K13)."""

    FALSE_INVESTMENT = "false_investment"
    FALSE_CALL = "false_call"
    FICTITIOUS_STORE = "fictitious_store"
    ACCOUNT_TAKEOVER = "account_takeover"
    MULE_CHAIN = "mule_chain"
    SPLITTING = "splitting"
    AGENT_ABUSE = "agent_abuse"
    EMPLOYEE_ABUSE = "employee_abuse"
    CARD_MISUSE = "card_misuse"
    OTHER = "other"
