"""Every error that Burana raises on purpose, as one tree.

BuranaError
+-- InputError            a caller's input is refused: field, what was seen, what is allowed
|   +-- IdentifierError   an identifier has no normal form
+-- ConflictError         the same id was used before with another body
+-- UnknownProposalError  no proposal has that id
+-- UnknownEntryError     no entry of the registry has that id
+-- SamePersonError       who proposed a change may not decide on it
+-- UnknownOperationError    an outcome or a look-up names an operation that is not recorded
+-- ThresholdError        thresholds or a score that are not probabilities in order
+-- DeclarationError      a feature declaration is wrong
+-- HistoryError          a history or a mapping does not fit its schema
+-- BundleError           a model bundle does not fit what runs
+-- ExplanationError      what a score is made of cannot be said
+-- ReplayError           a stored decision cannot be made again
+-- PromotionError        a bundle may not become champion as asked
+-- TrackingError         the tracking store of training runs cannot be reached
+-- RuleError             a rule does not compile or is not complete
|   +-- UnknownRuleError  no such rule, version or set is kept
+-- LedgerError           the database refuses or does not answer: retry later with the same body
|   +-- HeldElsewhereError   another process holds the ledger
+-- AuditError            the audit log is not the one that was signed, or a key or a checkpoint cannot be read
+-- StateError            a snapshot of the features does not fit the plan
+-- SettingsError         a setting is missing or out of bounds
"""


class BuranaError(Exception):
    """Root of the tree; `str(error)` is written for people."""


class InputError(BuranaError):
    """A value of the caller is refused.

    field: dotted path of the value, `sender.phone`; seen: what came, shortened; allowed: what would have been accepted.
    """

    def __init__(self, field: str, seen: object, allowed: str) -> None:
        super().__init__(field, seen, allowed)
        self.field, self.seen, self.allowed = field, shortened(seen), allowed

    def __str__(self) -> str:
        return f"{self.field}: seen {self.seen}, allowed: {self.allowed}"

    def stands_in(self, part: str) -> None:
        """Say that the value stands in a part of what came."""
        self.field = f"{part}.{self.field}"


class IdentifierError(InputError):
    """An identifier that has no normal form (R41-R44)."""


class ConflictError(BuranaError):
    """An id that is recorded with another body: a repeat must carry the same body."""


class UnknownProposalError(BuranaError):
    """No proposal of this id was made."""


class UnknownEntryError(BuranaError):
    """No entry of the registry has this id."""


class SamePersonError(BuranaError):
    """What needs four eyes was proposed and decided by one person."""


class OtherCallerError(BuranaError):
    """Who asks is not the one whom four eyes have approved for it."""


class UnknownOperationError(BuranaError):
    """No operation of this id is recorded."""


class ThresholdError(BuranaError):
    """Thresholds that are not 0 < medium < high < 1, or a score that is not a probability."""


class DeclarationError(BuranaError):
    """A feature declaration that cannot be compiled; says where, what was seen and what is allowed."""


class HistoryError(BuranaError):
    """A history, or the mapping that brings one in, that does not fit its schema."""


class BundleError(BuranaError):
    """A model bundle that does not fit the running declarations, or whose rows no longer give the stated scores."""


class ExplanationError(BuranaError):
    """What a score is made of cannot be said: there is no vector, no bundle that keeps it, or its parts do not make the score."""


class ReplayError(BuranaError):
    """A stored decision cannot be made again: what it was made from is not at hand."""


class PromotionError(BuranaError):
    """A challenger that is worse than the champion, or a change of champion that cannot be made as asked."""


class TrackingError(BuranaError):
    """MLflow's store cannot be reached or refuses."""


class RuleError(BuranaError):
    """A rule that does not compile, or lacks an owner, a reason or a criterion."""


class UnknownRuleError(RuleError):
    """No rule, version of a rule, or set of this name is kept."""


class LedgerError(BuranaError):
    """The database refuses or does not answer; the caller may retry, and a repeat finds what was recorded unheard."""


class UnkeptError(InputError, LedgerError):
    """A value that no database keeps, whenever it comes: refused for good, where any other LedgerError is of now."""


class HeldElsewhereError(LedgerError):
    """Another process holds the ledger: this one records nothing until it ends."""


class AuditError(BuranaError):
    """The audit log is not the one that a checkpoint was signed of, or a key or a checkpoint cannot be read."""


class StateError(BuranaError):
    """A snapshot that was made by another plan of features, or that is damaged."""


class SettingsError(BuranaError):
    """A setting that is missing or outside what is allowed."""


class EmptyPeriodError(SettingsError):
    """A period in which no operation was recorded."""


def shortened(seen: object, limit: int = 80) -> str:
    """`repr` of what was seen, at most `limit` characters, safe to print and to log."""
    text = ascii(seen)
    return text if len(text) <= limit else text[: limit - 3] + "..."
