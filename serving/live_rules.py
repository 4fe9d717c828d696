"""The set of rules that is in force: the starter set at first, and from then on whichever the database holds."""

import asyncio
import logging
from importlib import resources

from casework import rule_sets
from casework.database import Database
from domain.errors import RuleError
from features.feature_set import FeatureSet
from serving.assessor import Assessor
from serving.rule_desk import Desk
from serving.rules import Rules

log = logging.getLogger("burana")
STARTER_RULES = "starter_rules.toml"


def live_rules(database: Database, features: FeatureSet) -> Rules:
    """The live set; the starter set is loaded, and recorded as such, where there is none."""
    stored = rule_sets.live(database)
    if stored is None:
        try:
            Desk(database, features.names).load(starter_rules(), rule_sets.BURANA, "starter set of this release")
        except RuleError:
            if rule_sets.live(database) is None:  # else another process, which begins at the same time, came first
                raise
        stored = rule_sets.live(database)
        assert stored is not None, "the set was loaded in the lines above"
    return Rules(stored.content, features.names, stored.version, stored.shadow)


def starter_rules() -> str:
    """The rules and templates that a new installation starts with, TOML."""
    return resources.files("serving").joinpath(STARTER_RULES).read_text(encoding="utf-8")


class RuleFollower:
    """Puts a newer set in force while operations are answered; one that does not compile is refused once."""

    def __init__(self, database: Database, assessor: Assessor) -> None:
        self._database, self._assessor = database, assessor
        self._refused: tuple[str, FeatureSet] | None = None

    async def look(self) -> None:
        """Compile the live set in another thread if it is another one; RuleError for one that does not compile."""
        stored, layers = await asyncio.to_thread(rule_sets.live, self._database), self._assessor.layers
        if stored is None or stored.version == layers.rules.version:
            return
        if (asked := (stored.version, layers.features)) == self._refused:
            return
        try:
            rules = await asyncio.to_thread(Rules, stored.content, layers.features.names, stored.version, stored.shadow)
        except RuleError:
            self._refused = asked
            self._assessor.metrics.rules_refused.inc()
            raise
        self._refused = None
        if layers is not self._assessor.layers:  # a champion took over meanwhile: the next look compiles over its features
            return
        layers.rules = rules
        log.info("rules %s are live", stored.version)
