"""What a plan asks of which entities: its features by the kind of entity that they are of, and those behind its marks."""

from dataclasses import dataclass, replace
from math import nan

from domain.criteria import FraudCriterion
from features import language as say
from features.layout import SLOTS, Column, Fact, Slot
from features.plan import Plan, Table

Entity = Slot | say.Group
"""A kind of entity; SENDER stands for accounts, whether they send or receive."""


@dataclass(frozen=True)
class Share:
    """What a plan asks of one kind of entity.

    plan: of these features alone, slot by slot, to rows that bear the whole plan's marks; places: where each feature stands in
    the whole plan's vector.
    """

    entity: Entity
    plan: Plan
    places: tuple[int, ...]

    @property
    def name(self) -> str:
        """`account`, `customer`, ..., or the group's name after `group_`."""
        if isinstance(self.entity, say.Group):
            return f"group_{self.entity.name}"
        return "account" if self.entity is Slot.SENDER else self.entity.name.lower()


def shares_of(plan: Plan) -> list[Share]:
    """A plan by the kinds of entities that its features are of; the operation's own are in none."""
    entities = [_entity(plan, slot) for slot in plan.slots]
    return [
        _share(plan, entity, tuple(place for place, other in enumerate(entities) if other == entity))
        for entity in dict.fromkeys(entities)
        if entity is not None
    ]


def _entity(plan: Plan, slot: int) -> Entity | None:
    if slot < 0:
        return None
    if slot >= SLOTS:
        return plan.groups[slot - SLOTS]
    return Slot.SENDER if slot == Slot.RECIPIENT else Slot(slot)


def _share(plan: Plan, entity: Entity, places: tuple[int, ...]) -> Share:
    places = tuple(sorted(places, key=lambda place: plan.slots[place]))
    return Share(entity, Plan([plan.declarations[place] for place in places], plan.retained, given=plan.marks), places)


@dataclass(frozen=True)
class Limit:
    """A mark: set when the feature at `place` of a vector is above a limit."""

    place: int
    above: float


def marking(plan: Plan) -> tuple[Plan, tuple[Limit, ...]] | None:
    """A plan of the features of the marks, and the limit of each mark; None when the plan has no marks."""
    if not plan.marks:
        return None
    # a mark whose feature is missing is not set, whatever a matrix would show there
    features = [replace(mark.feature, missing=nan, serves=FraudCriterion.POLICY) for mark in plan.marks]
    different = list(dict.fromkeys(features))
    limits = (Limit(different.index(f), mark.above) for f, mark in zip(features, plan.marks, strict=True))
    return Plan(different, plan.retained), tuple(limits)


def own_of(plan: Plan) -> tuple[Plan, tuple[int, ...]]:
    """A plan whose first features are the operation's own ones, and their places in the whole; its longest window is the same."""
    places = tuple(place for place, slot in enumerate(plan.slots) if slot < 0)
    declarations = [plan.declarations[place] for place in places]
    longest = int(plan.program.tables[Table.LONGEST])
    if longest:
        declarations.append(say.Feature(Slot.SENDER, say.Count(), say.fact("kept", Fact.OPERATION), longest))
    return Plan(declarations, plan.retained), places


def keys_of(entity: Entity) -> dict[int, tuple[Column, ...]]:
    """The slots in which an entity stands, in a plan of its share alone, and the columns that its key is made of."""
    if isinstance(entity, say.Group):
        return {SLOTS: entity.columns}
    slots = (Slot.SENDER, Slot.RECIPIENT) if entity is Slot.SENDER else (entity,)
    return {int(slot): (Column(slot),) for slot in slots}
