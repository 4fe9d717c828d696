"""Which criterion can apply to which kind of operation: the cells of the coverage map, and why the others are none.

A criterion is about behaviour, and most behaviour shows at an operation of any kind: who failed to log in may then pay by card,
withdraw cash or top up. A cell is left out only where the criterion's own words cannot be said of an operation of that kind.
"""

from domain.criteria import FraudCriterion
from domain.operation import Kind

_TAKES_OUT = "takes money out, and the criterion is of money put in; what was put in before is seen by R73"
_CANNOT: dict[FraudCriterion, dict[Kind, str]] = {
    FraudCriterion.ATYPICAL_SOURCE: dict.fromkeys(
        (Kind.QR_OR_CARD, Kind.DOMESTIC_TRANSFER, Kind.INTERNATIONAL_TRANSFER, Kind.VIRTUAL_ASSET_TRANSFER, Kind.CASH_WITHDRAWAL),
        _TAKES_OUT,
    ),
}  # fmt: skip


def why_not(criterion: FraudCriterion, kind: Kind) -> str | None:
    """Why a criterion cannot apply to a kind of operation; None where it can."""
    return _CANNOT.get(criterion, {}).get(kind)


CELLS = tuple((criterion, kind) for criterion in FraudCriterion for kind in Kind if why_not(criterion, kind) is None)
"""Every cell of the map in which something has to live."""
