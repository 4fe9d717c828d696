"""What Feast is told: entities, views and the service of the served vector, all of it made from the declarations.

operation_behaviour   the vectors of `burana features`, and the row of integers that an operation is; keyed by operation_id
customer_profile, recipient_profile, device_profile   the packed profiles of each day, keyed by 64-bit hashes
profile_comparison    on demand: the rows against the profiles, by the function that serves
burana_HASH           the service: the served vector in its order

A profile is one field of bytes (the packed row): Feast keeps, joins and hands back each as one value, so a profile costs one cell in
an online store and not one for each of its fields, and the bits are the served ones. `profiles.LAYOUTS` says what is where.
"""

import inspect
from datetime import timedelta
from pathlib import Path
from types import FunctionType
from typing import Any, cast

from feast import Entity, FeatureService, FeatureView, Field, FileSource, OnDemandFeatureView, ValueType
from feast.data_format import ParquetFormat
from feast.types import Bytes, Float64, Int64, String

from features import wording
from features.feast_repo.comparison import compare_with_profiles
from features.feature_set import FeatureSet
from features.profile_language import PROFILE_DAYS, Whose
from features.profiles import LAYOUTS, PROFILE_FEATURES, PROFILE_LAG_MS, PROFILES_HASH

OPERATION, OPERATION_ROW, TIME = "operation_id", "operation_row", "event_timestamp"
ONE_DAY = timedelta(days=1) - timedelta(milliseconds=1)
"""A profile counts until that of the next day does; Feast takes the end of a time to live as inside it."""


def whose_name(whose: Whose) -> str:
    """`customer`: the entity and its join key."""
    return whose.name.lower()


def view_name(whose: Whose) -> str:
    """`customer_profile`."""
    return f"{whose_name(whose)}_profile"


def packed_name(whose: Whose) -> str:
    """The field of the packed row."""
    return f"{view_name(whose)}_packed"


def day_name(whose: Whose) -> str:
    """The field of the local day."""
    return f"{view_name(whose)}_day"


def service_name(features: FeatureSet) -> str:
    """`burana_` and the first digits of the hash over the declarations."""
    return f"burana_{features.hash[:12]}"


def profiles_folder(folder: Path, whose: Whose) -> Path:
    """Where the profiles of the running declarations are, one file a day; those of other declarations stand beside it."""
    return folder / "profiles" / PROFILES_HASH[:12] / whose_name(whose)


def operations_file(folder: Path) -> Path:
    """The Parquet file of the operations: entity keys, time, row and behaviour."""
    return folder / "operations.parquet"


def objects(folder: Path, features: FeatureSet) -> list[Any]:
    """Everything that `feast apply` registers for the stores of a folder."""
    operation = Entity(name="operation", join_keys=[OPERATION], value_type=ValueType.STRING, description="what is assessed")
    entities = {whose: _entity(whose) for whose in Whose}
    behaviour = _behaviour(folder, features, operation)
    views = {whose: _profile(folder, whose, entities[whose]) for whose in Whose}
    comparison = _comparison([behaviour[[OPERATION_ROW]], *views.values()])
    service = FeatureService(
        name=service_name(features),
        features=[behaviour[list(features.plan.names)], comparison],
        description=f"the vector that a model of declarations {features.hash[:12]} reads, {len(features)} features",
        tags={"declarations": features.hash},
    )
    return [operation, *entities.values(), behaviour, *views.values(), comparison, service]


def _entity(whose: Whose) -> Entity:
    name = whose_name(whose)
    return Entity(name=name, join_keys=[name], value_type=ValueType.INT64, description=f"64-bit hash of the {name}'s key")


def _behaviour(folder: Path, features: FeatureSet, operation: Entity) -> FeatureView:
    row = Field(name=OPERATION_ROW, dtype=Bytes, description="the row of 64-bit integers that the features read")
    behaviour = [
        Field(name=d.name, dtype=Float64, description=wording.meaning(d), tags=_tags(d)) for d in features.plan.declarations
    ]
    return FeatureView(
        name="operation_behaviour", entities=[operation], ttl=timedelta(0), online=False,
        schema=[Field(name=OPERATION, dtype=String), row, *behaviour],
        source=_parquet("operations", str(operations_file(folder)), "vectors of operations, by the batch path"),
        description="behaviour up to the operation, exact to the operation", tags={"declarations": features.plan.hash},
    )  # fmt: skip


def _profile(folder: Path, whose: Whose, entity: Entity) -> FeatureView:
    layout = ", ".join(f"{name} from word {offset}" for name, offset in LAYOUTS[whose].offsets.items())
    packed = Field(name=packed_name(whose), dtype=Bytes, description=f"{LAYOUTS[whose].width} words of 64 bits: {layout}")
    day = Field(name=day_name(whose), dtype=Int64, description="local day that the profile ends with, since 1970-01-01")
    return FeatureView(
        name=view_name(whose), entities=[entity], ttl=ONE_DAY, online=True,
        schema=[Field(name=whose_name(whose), dtype=Int64), day, packed],
        source=_parquet(f"{view_name(whose)}s", str(profiles_folder(folder, whose) / "*.parquet"), "one file a day"),
        description=f"habit of a {whose_name(whose)} over {PROFILE_DAYS} local days, known {PROFILE_LAG_MS // 3_600_000} h "
        "after the last one's end",
        tags={"declarations": PROFILES_HASH},
    )  # fmt: skip


class _Declared(OnDemandFeatureView):
    """A view whose fields are declared: Feast would try it on made-up bytes, and refuse fields that have a description or tags."""

    def infer_features(self) -> None:
        """Nothing is to be inferred."""


def _comparison(sources: list[Any]) -> OnDemandFeatureView:
    fields = [Field(name=f.name, dtype=Float64, description=f.meaning, tags=_tags(f)) for f in PROFILE_FEATURES]
    view = _Declared(
        name="profile_comparison", sources=sources, schema=fields, mode="pandas",
        udf=cast("FunctionType", compare_with_profiles), udf_string=inspect.getsource(compare_with_profiles),
        description="the operation against the habit of its customer, recipient and device", tags={"declarations": PROFILES_HASH},
    )  # fmt: skip
    # Feast reads such a view's fields back without description and tags, and then wants the service's to be equal to them
    view.projection.features = [Field(name=field.name, dtype=field.dtype) for field in fields]
    return view


def _parquet(name: str, path: str, description: str) -> FileSource:
    return FileSource(name=name, path=path, timestamp_field=TIME, file_format=ParquetFormat(), description=description)


def _tags(declaration: Any) -> dict[str, str]:
    return {"unit": declaration.unit, "criterion": declaration.serves.value}
