"""What fraud actors share: accounts that take stolen money in, telephones, a choice of victims, and the label of a story."""

from dataclasses import dataclass, field
from itertools import cycle

import numpy as np

from domain import instants
from domain.criteria import Scheme
from training.simulator.draft import EVENT, OPERATION, Flags, Floats, Ints, Rows, code, joined
from training.simulator.habits import at_hour
from training.simulator.people import People, draw_devices, draw_places
from training.simulator.world import World


@dataclass(frozen=True)
class Story:
    """What one actor did: operations (those of his victims' own will among them unlabelled) and events."""

    operations: Rows
    events: Rows = field(default_factory=lambda: np.zeros(0, EVENT))


class Targets:
    """Customers whom an actor looks for, the better-off more often. Drawing costs the same in a world of any size."""

    def __init__(self, people: People, fit: Flags) -> None:
        self._joined, self._rows = people.joined, np.flatnonzero(fit)
        weights = people.income[self._rows] ** 0.5 * np.where(people.business[self._rows], 0.4, 1)
        self._cumulated: Floats = np.cumsum(weights)

    def drawn(self, rng: np.random.Generator, day: int, count: int) -> Ints:
        """At most `count` different customers, those who had joined by that day."""
        drawn = self._cumulated[-1] * rng.random(6 * count + 40)
        found = self._rows[np.searchsorted(self._cumulated, drawn)]
        found = found[self._joined[found] <= day]
        return np.asarray(found[np.sort(np.unique(found, return_index=True)[1])][:count])


class Underworld:
    """The actors' means; `rng` is theirs alone.

    mules: customers who lend their accounts, half of them new; drops: accounts lent at other organisations; devices,
    places: of intruders. active, carded, forgotten, forgotten_banked: whom they look for.
    """

    def __init__(self, world: World, rng: np.random.Generator) -> None:
        self.world, self.rng = world, rng
        size = len(world.people)
        self.mules = self._recruits(5 + size // 200)
        self.drops = rng.choice(world.trade.strangers, 12 + size // 60, replace=False)
        self.devices = draw_devices(world.devices, 8 + size // 50, rng)
        self.places = draw_places(world.places, 8 + size // 50, rng)
        self._targets(world.people)
        self._stores = cycle(world.trade.merchants.fakes.tolist())
        self._stories = 0

    def _recruits(self, count: int) -> Ints:
        people = self.world.people
        new = np.flatnonzero((people.joined > self.world.span.start) & ~people.business)
        old = np.flatnonzero((people.joined == self.world.span.start) & ~people.business)
        wanted = min(count // 2, len(new))
        return np.concatenate(
            [self.rng.choice(new, wanted, replace=False), self.rng.choice(old, count - wanted, replace=False)]
        )

    def _targets(self, people: People) -> None:
        """Dormant customers and the quietest of the others are forgotten; a mule is nobody's victim."""
        honest = np.ones(len(people), np.bool_)
        honest[self.mules] = False
        quiet = honest & (people.dormant | (people.activity < np.quantile(people.activity, 0.1)))
        self.active = Targets(people, honest & ~people.dormant)
        self.carded = Targets(people, honest & ~people.dormant & people.banked)
        self.forgotten = Targets(people, quiet)
        self.forgotten_banked = Targets(people, quiet & people.banked)

    def marked(self, rows: Rows, scheme: Scheme) -> Rows:
        """The rows with the label of this scheme and a story of their own."""
        self._stories += 1
        rows["scheme"], rows["story"] = code(scheme), self._stories
        return rows

    def day(self, latest_before_end: int = 1) -> int:
        """The beginning of a day, not among the first two, in ms."""
        span = self.world.span
        return span.start + int(self.rng.integers(2, max(3, span.days - latest_before_end + 1))) * instants.DAY

    def at(self, day: int, first: float, last: float) -> int:
        """An instant of this day between two local hours; `last` may pass midnight."""
        return int(at_hour(np.array([day]), np.array([self.rng.uniform(first, last) % 24]))[0])

    def victims(self, day: int, count: int) -> Ints:
        """Different customers who use their accounts on that day."""
        return self.active.drawn(self.rng, day, count)

    def victim(self, day: int) -> int:
        """One of `victims`."""
        return int(self.victims(day, 1)[0])

    def mules_of(self, instant: int) -> Ints:
        """Mules whose account is open by then."""
        return self.mules[self.world.people.joined[self.mules] <= instant]

    def receivers(self, instant: int, count: int) -> Ints:
        """Parties that take stolen money in: mules here, drops elsewhere; a story has few of them."""
        mules = self.world.people.party[self.mules_of(instant)]
        outside = self.rng.choice(self.drops, count)
        if not len(mules):
            return outside
        return np.where(self.rng.random(count) < 0.55, self.rng.choice(mules, count), outside)

    def store(self) -> int:
        """The next store that opens to cheat, a row of the merchants; when all were used, an old one under its old name."""
        return int(next(self._stores))

    def device(self) -> int:
        """A telephone of an intruder, at times one that he used before."""
        return int(self.rng.choice(self.devices))

    def place(self) -> int:
        """Where he seems to be: a VPN, abroad, or in the country as anybody."""
        people, draw = self.world.people, self.rng.random()
        pool = people.vpn_places if draw < 0.45 else people.away if draw < 0.6 else self.places
        return int(self.rng.choice(pool))

    def minutes(self, count: int, shortest: float, longest: float) -> Ints:
        """`count` rising distances in ms, the steps between these many minutes."""
        return np.cumsum((self.rng.uniform(shortest, longest, count) * instants.MINUTE).astype(np.int64))


def together(stories: list[Story]) -> Story:
    """All stories as one."""
    return Story(joined([s.operations for s in stories], OPERATION), joined([s.events for s in stories], EVENT))
