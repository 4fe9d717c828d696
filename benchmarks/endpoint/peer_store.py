"""The stock assembly's online store: every feature of the model in Feast's SQLite, by customer, recipient and device.

Only what the asked operations name is materialised, so that the peer's store is small and warm: the comparison favours it.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import yaml
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, String

from benchmarks.endpoint.asked import Asked
from benchmarks.endpoint.stock_contract import Operation
from features.feast_repo.store import quiet

TIME = "event_timestamp"
OF_RECIPIENT, OF_DEVICE = ("recipient_",), ("device_",)


def view_of(feature: str) -> str:
    """Whose feature it is; what belongs to neither recipient nor device is kept with the customer."""
    if feature.startswith(OF_RECIPIENT):
        return "recipient"
    return "device" if feature.startswith(OF_DEVICE) else "customer"


def references(names: tuple[str, ...]) -> list[str]:
    """The features as `get_online_features` is asked for them."""
    return [f"{view_of(name)}:{name}" for name in names]


def make(folder: Path, asked: Asked) -> None:
    """Register, write the values, materialise them as Feast's documentation does."""
    folder.mkdir(parents=True)
    configuration = {
        "project": "stock", "provider": "local", "registry": str(folder / "registry.db"),
        "online_store": {"type": "sqlite", "path": str(folder / "online.db")}, "offline_store": {"type": "duckdb"},
        "entity_key_serialization_version": 3,
    }  # fmt: skip
    (folder / "feature_store.yaml").write_text(yaml.safe_dump(configuration))
    keys = pl.DataFrame([Operation.model_validate_json(body).entities for body in asked.bodies()])
    values = pl.DataFrame(asked.vectors, schema=list(asked.names))
    with quiet():
        store = FeatureStore(repo_path=str(folder))
        views = [_view(folder, whose, keys, values) for whose in ("customer", "recipient", "device")]
        store.apply([each for pair in views for each in pair])
        store.materialize(datetime.now(UTC) - timedelta(days=1), datetime.now(UTC))


def _view(folder: Path, whose: str, keys: pl.DataFrame, values: pl.DataFrame) -> tuple[Entity, FeatureView]:
    """The entity and its view over a file: of each key the newest values."""
    names, path = [name for name in values.columns if view_of(name) == whose], folder / f"{whose}.parquet"
    rows = values.select(names).with_columns(keys[whose], pl.lit(datetime.now(UTC)).alias(TIME))
    rows.unique(whose, keep="last", maintain_order=True).write_parquet(path)
    entity = Entity(name=whose, join_keys=[whose], value_type=ValueType.STRING)
    fields = [Field(name=whose, dtype=String), *(Field(name=name, dtype=Float64) for name in names)]
    source = FileSource(name=whose, path=str(path), timestamp_field=TIME)
    return entity, FeatureView(name=whose, entities=[entity], ttl=timedelta(0), schema=fields, source=source)
