"""What a rule is: an expression, what it serves, on which ground, and what officer and customer are told (R19, R20, R58-R74)."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from domain.criteria import FraudCriterion, Scheme
from domain.operation import Kind
from domain.templates import Now, Step


class State(StrEnum):
    """draft: is written, does not run; shadow: runs and is only counted; live: acts; off: does not run any more."""

    DRAFT = "draft"
    SHADOW = "shadow"
    LIVE = "live"
    OFF = "off"

    @property
    def runs(self) -> bool:
        """Whether a rule of this state is evaluated."""
        return self in {State.SHADOW, State.LIVE}


RuleId = Annotated[
    str,
    Meta(pattern=r"^[a-z][a-z0-9_]{2,63}(?!\n)$", description="a to z, 0 to 9 and _, 3 to 64 of them, the first a letter"),
]
_ONE_LINE = "one line without control characters"
Sentence = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)", description=_ONE_LINE)]
Later = Annotated[str, Meta(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)", description=_ONE_LINE)]
"""A sentence that a draft may leave empty."""
EVERY_KIND = tuple(Kind)


class Rule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule.

    expression: CEL, true when the rule fires; `$name` in it stands for a parameter. Of a template it is made from its steps and what the
    operation is now, and empty until then; scheme: the known scheme that a template tells. ground: the paragraph of the regulation or the
    policy that it stands on. text: the reason as an officer reads it in English, as the answer says it; the others are the same for
    an officer, and what a customer may be told, in Russian, Kyrgyz and English. kinds: the operations that it is asked of. version:
    which saving of the rule this is, 0 in a file that nobody saved yet.
    """

    id: RuleId
    criterion: FraudCriterion
    level: Annotated[str, Meta(pattern=r"^(medium|high)(?!\n)$", description="medium or high")]
    owner: Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)", description=_ONE_LINE)]
    ground: Sentence
    expression: Annotated[str, Meta(max_length=2_000)]
    text: Sentence
    kinds: Annotated[tuple[Kind, ...], Meta(min_length=1, max_length=len(EVERY_KIND))] = EVERY_KIND
    parameters: Annotated[dict[RuleId, int | float], Meta(max_length=20)] = {}
    text_ru: Later = ""
    text_ky: Later = ""
    customer_ru: Later = ""
    customer_ky: Later = ""
    customer_en: Later = ""
    scheme: Scheme | None = None
    steps: Annotated[tuple[Step, ...], Meta(max_length=8)] = ()
    now: Now | None = None
    state: State = State.DRAFT
    version: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
