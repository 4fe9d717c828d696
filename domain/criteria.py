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

    @property
    def words(self) -> str:
        """What the regulation calls suspicious, in short; R59 is item 1 of para. 15, and so on."""
        return _WORDS[self]

    @property
    def item(self) -> int:
        """The item of para. 15."""
        return list(FraudCriterion).index(self) + 1


_WORDS = {
    FraudCriterion.FREQUENCY: "a sudden rise in the number of operations initiated or received",
    FraudCriterion.GROUP: "sudden growth, over a group of customers, of operations alike by sum, recipient or type",
    FraudCriterion.AMOUNT: "an amount that is not typical for the customer, or an unusual category of payment",
    FraudCriterion.DEVICE: "an unusual network address or place, a new device, a VPN or proxy",
    FraudCriterion.TIME: "a time of day or day of the week that is unusual for the customer",
    FraudCriterion.FAILED_LOGINS: "many failed attempts to log in",
    FraudCriterion.CONTACT_CHANGES: "frequent changes of contact data, above all before large operations",
    FraudCriterion.KNOWN_SCHEME: "a match with known schemes of fraud",
    FraudCriterion.RETURNS: "unusually many returns or cancellations",
    FraudCriterion.SUSPICIOUS_RECIPIENT: "recipients (accounts, applications, wallets) that are known as suspicious",
    FraudCriterion.SPLITTING: "splitting of sums and spreading to many recipients",
    FraudCriterion.ATYPICAL_SOURCE: "top-ups from sources that are not typical for the customer",
    FraudCriterion.AUTHORISATION_CHANGE: "a new method of authorisation or a way of logging in not typical for the customer",
    FraudCriterion.PASS_THROUGH: "an application or wallet in splitting or consolidation with rapid onward transfer elsewhere",
    FraudCriterion.COLLECTING: "top-ups by different persons with various tools, then withdrawal",
    FraudCriterion.POLICY: "other criteria of the operator's policy",
}


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
