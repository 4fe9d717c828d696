"""What a template is: the steps of a known scheme in order, then the operation that would complete it (R20, R66, K13)."""

from typing import Annotated

from msgspec import Meta, Struct

Word = Annotated[
    str,
    Meta(pattern=r"^[a-z][a-z0-9_]{2,63}(?!\n)$", description="a to z, 0 to 9 and _, 3 to 64 of them, the first a letter"),
]
Number = (
    Annotated[int, Meta(ge=1, le=10**12)]
    | Annotated[str, Meta(pattern=r"^\$[a-z][a-z0-9_]{2,63}(?!\n)$", description="the name of a parameter behind $")]
)
"""A whole number, or the name of a parameter: `$attempts`."""
Window = Annotated[
    str, Meta(pattern=r"^[1-9][0-9]{0,2}[mhd](?!\n)$", description="1 to 999 minutes, hours or days, such as 10m")
]
"""`10m`, `1h`, `3d`: minutes, hours, days."""


class Step(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What happened before, so many times within a window that ends with the operation.

    who: whose history: customer, sender, recipient, device, agent, employee. did: what arrived: `login_failed`, `received`, ...
    different: counted are different customers, recipients, fundings of it. tyiyn: their sum is at least that. gone: of a sequence
    that the features declare, `takeover`, so many steps are gone, in exact order. any_order: it may have been before or after its
    neighbours; else its last time lies between theirs.
    """

    did: Word
    within: Window
    who: Word = "customer"
    times: Number = 1
    different: Word | None = None
    tyiyn: Number | None = None
    gone: Annotated[int, Meta(ge=1, le=8)] | None = None
    any_order: bool = False


class Now(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the operation is that completes the scheme.

    from_tyiyn: its amount at least; new: what the customer never used before: recipient, device, address, country, category, login_method,
    authorisation_method, funding (of a top-up); again_within: it goes to a recipient whom the customer paid within this time before; times_usual: its amount over the mean of the customer's month; percent_of_received: of
    what the sender's account received within `received_within`.
    """

    from_tyiyn: Number | None = None
    new: Annotated[tuple[Word, ...], Meta(max_length=8)] = ()
    again_within: Window | None = None
    times_usual: Number | None = None
    percent_of_received: Number | None = None
    received_within: Window = "1h"
    vpn: bool = False
    foreign: bool = False
    other_institution: bool = False
