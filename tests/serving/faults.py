"""Real faults of model, profiles, features, rules and clock: each yields a Burana in which something has failed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sqlalchemy import insert

from casework import database as databases
from casework import rule_sets
from casework.ledger import Entry
from casework.tables import ENTRIES, id_hash
from domain.bundle import Manifest, champion
from domain.levels import Thresholds
from features.feature_set import FeatureSet
from features.packed_profiles import PackedProfiles, Profiles, snapshot_folder
from features.profile_language import Whose
from features.profiles import LAYOUTS, date_of, day_of
from serving.contributions import Explainer
from serving.scoring import Model
from serving.settings import Settings
from tests.databases import execute
from tests.serving.broken_models import BROKEN_MODELS
from tests.serving.examples import START, body, event
from tests.serving.places import OPERATIONS, Fault, Here, Nowhere, Place, Running, here, there
from tests.serving.running import InProcess
from training.bundles import set_champion

BROKEN_RULE = """
[[rules]]
id = "divides_by_zero"
criterion = "R74"
level = "medium"
state = "live"
owner = "tests"
ground = "fails at run time"
expression = "100 / (amount_tyiyn - amount_tyiyn) > 1"
text = "never"
"""


# ---- the model -----------------------------------------------------------------------------------------------------------


@contextmanager
def no_champion(place: Place) -> Iterator[Running]:
    """`--without-model`, and nobody is named."""
    with here(place, models=place.settings.home / "none", require_model=False) as running:
        yield running


def model_that(how: str) -> Fault:
    """A sound ONNX graph in the champion's place whose score is none."""

    @contextmanager
    def fault(place: Place) -> Iterator[Running]:
        with here(place) as running:
            stated = msgspec.json.decode((champion(place.settings.models) / "manifest.json").read_bytes(), type=Manifest)
            running.burana.burana.assessor.layers.model = Model(stated, BROKEN_MODELS[how])
            yield running

    return fault


def _flip(file: Path) -> None:
    """Change the last bit of a file."""
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@contextmanager
def bundle_damaged_before(place: Place) -> Iterator[Running]:
    """A bit of `model.onnx` is flipped before the start."""
    line: Path = place.fixture("line")
    _flip(champion(line) / "model.onnx")
    with pytest.raises(AssertionError) as raised, there(place, models=line):
        pass
    yield Nowhere(str(raised.value))


@contextmanager
def bundle_damaged_while_running(place: Place) -> Iterator[Running]:
    """A bit of the champion's `model.onnx` is flipped while the server runs."""
    line: Path = place.fixture("line")
    with there(place, models=line) as running:
        _flip(champion(line) / "model.onnx")
        yield running


@contextmanager
def damaged_bundle_named(place: Place) -> Iterator[Running]:
    """CHAMPION names another bundle, of which a bit is flipped."""
    line, rival = place.fixture("line"), place.fixture("rival")
    _flip(line / rival.name / "model.onnx")
    with there(place, models=line) as running:
        set_champion(line, rival.name)
        yield running


@contextmanager
def explanation_broken(place: Place) -> Iterator[Running]:
    """The trees in the bundle are not those of the model: contributions do not make the score."""
    with here(place) as running:
        model = running.burana.burana.assessor.layers.model
        assert model is not None
        assert model.explainer is not None
        others = replace(model.explainer.contributions, expected=model.explainer.contributions.expected + 0.1)
        model.explainer = Explainer(others, model.manifest.features, FeatureSet(running.burana.burana.plan).entries)
        model.thresholds = Thresholds(1e-9, 1 - 1e-9)
        yield running


@contextmanager
def challenger_broken(place: Place) -> Iterator[Running]:
    """A challenger's graph gives no probability."""
    line, rival = place.fixture("line"), place.fixture("rival")
    (line / "CHALLENGERS").write_text(f"{rival.name}\n")
    with here(place, models=line) as running:
        running.burana.wait_until(lambda: rival.name in running.burana.burana.challengers._asked)
        challenger = running.burana.burana.challengers._asked[rival.name]
        challenger.model = Model(challenger.model.manifest, BROKEN_MODELS["NaN"])
        yield running


# ---- profiles --------------------------------------------------------------------------------------------------------------

DUE = day_of(START.date()) - 1
"""The local day whose profiles are due when the examples' operations occur."""


def _profiled(place: Place, *days: int) -> Settings:
    """Settings of a champion that reads profiles, with snapshots of these days."""
    folder: Path = place.fixture("profiled")
    profiles = place.settings.home / "profiles"
    for day in days:
        _snapshot(profiles, day)
    return replace(place.settings, models=folder / "models", profiles=profiles, profiles_refresh_s=0.05)


def _snapshot(folder: Path, day: int) -> Path:
    """A sound snapshot of a day, with the profile of a customer whom no operation names."""
    rows = np.zeros((1, LAYOUTS[Whose.CUSTOMER].width), np.int64)
    somebody = PackedProfiles.of(Whose.CUSTOMER, np.array([1]), np.array([day]), rows)
    out = snapshot_folder(folder) / date_of(day).isoformat()
    replace(Profiles.none(), customer=somebody).save(out)
    return out


def profiles_of(*days_behind: int) -> Fault:
    """Snapshots of days so many before the due one, and of no other."""

    @contextmanager
    def fault(place: Place) -> Iterator[Running]:
        with InProcess(_profiled(place, *(DUE - behind for behind in days_behind))) as burana:
            yield Here(burana, place)

    return fault


@contextmanager
def profiles_damaged(place: Place) -> Iterator[Running]:
    """A newer snapshot comes, of which a bit is flipped."""
    settings = _profiled(place, DUE)
    with InProcess(settings) as burana:
        made = _snapshot(settings.home / "elsewhere", DUE + 1)
        _flip(made / "customer_rows.npy")
        made.rename(snapshot_folder(settings.profiles) / made.name)
        yield Here(burana, place)


# ---- features and rules ----------------------------------------------------------------------------------------------------


def break_features(burana: InProcess) -> None:
    """Damage the engine so that neither reading nor applying works."""
    engine = burana.burana.assessor.records.engine
    engine._row = np.zeros(3, np.int64)
    with pytest.raises(ValueError, match="broadcast"):
        engine.read([0] * 18)


@contextmanager
def features_unreadable(place: Place) -> Iterator[Running]:
    """The engine's buffers are damaged."""
    with here(place, refresh_s=3_600) as running:
        break_features(running.burana)
        yield running


@contextmanager
def features_behind(place: Place) -> Iterator[Running]:
    """The engine's buffers are damaged, and an event was to be counted."""
    with here(place, refresh_s=3_600) as running:
        break_features(running.burana)
        assert running.burana.post("/v1/events", body(event(1))).status == 200
        yield running


@contextmanager
def state_damaged(place: Place) -> Iterator[Running]:
    """A bit in the middle of `state.npz` is flipped between a stop and a start."""
    with here(place) as running:
        for _ in range(9):
            running.answer()
    content = bytearray(place.settings.state.read_bytes())
    content[len(content) // 2] ^= 1
    place.settings.state.write_bytes(content)
    with here(place) as running:
        running._number = 20
        yield running


@contextmanager
def rule_failing(place: Place) -> Iterator[Running]:
    """A live rule divides by zero."""
    with here(place) as running:
        version = rule_sets.load(running.burana.burana.database, BROKEN_RULE, "the tests", "to see it fail")
        running.burana.wait_until(lambda: running.burana.burana.assessor.layers.rules.version == version)
        yield running


@contextmanager
def rules_not_compiling(place: Place) -> Iterator[Running]:
    """A set that does not compile is written past the check."""
    with here(place) as running:
        rule_sets.load(running.burana.burana.database, BROKEN_RULE.replace("> 1", "> 'one'"), "the tests", "past the check")
        yield running


@contextmanager
def registry_gone(place: Place) -> Iterator[Running]:
    """The table of the registry is renamed while the server runs."""
    with here(place) as running, databases.connect(place.settings.database) as database:
        execute(database, "ALTER TABLE registry RENAME TO elsewhere")
        yield running
        execute(database, "ALTER TABLE elsewhere RENAME TO registry")


# ---- time, and what nobody expected ----------------------------------------------------------------------------------------


@contextmanager
def clock_stepped_back(place: Place) -> Iterator[Running]:
    """The clock that is plugged in goes back by an hour."""
    ahead = timedelta(hours=1)

    def clock() -> datetime:
        return datetime.now(UTC) + ahead

    with InProcess(place.settings, clock) as burana:
        running = Here(burana, place)
        running.answer()
        ahead = timedelta()
        yield running


@contextmanager
def no_time(place: Place) -> Iterator[Running]:
    """A deadline of a microsecond."""
    with here(place, deadline_ms=0.001) as running:
        yield running


@contextmanager
def broken_entry(place: Place) -> Iterator[Running]:
    """An entry of the ledger whose body is no JSON, as no release writes one, is asked for."""
    with there(place, url=place.settings.database) as running:
        broken = Entry(900, "operation", "op-900", databases.timestamp(), b"no JSON", b"", 1, b"{", b"12345678", b"{")
        with databases.connect(running.server.database) as database, database.transaction() as connection:
            connection.execute(insert(ENTRIES).values({**broken._asdict(), "id_hash": id_hash("operation", "op-900")}))
        running.path = f"{OPERATIONS}/op-900"
        yield running
