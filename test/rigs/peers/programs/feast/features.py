"""A feature view of Feast with one feature: the prediction of each user."""

from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Float32

user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
predictions = FeatureView(
    name="predictions",
    entities=[user],
    ttl=timedelta(days=1),
    schema=[Field(name="score", dtype=Float32)],
    source=FileSource(path="predictions.parquet", timestamp_field="event_timestamp"),
)
