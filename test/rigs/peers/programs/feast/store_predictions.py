"""Applies the feature view and writes predictions to the online store. Usage: store_predictions.py <file>

The file has one line per user: `<user id> <score>`. The working folder is the repository of features.
"""

import sys
from datetime import datetime, timezone

import pandas
from feast import FeatureStore
from features import predictions, user

rows = pandas.read_csv(sys.argv[1], sep=" ", names=["user_id", "score"], dtype={"user_id": str, "score": "float32"})
rows["event_timestamp"] = datetime.now(timezone.utc)
rows.to_parquet("predictions.parquet")
store = FeatureStore(repo_path=".")
store.apply([user, predictions])
for first in range(0, len(rows), 10_000):
    store.write_to_online_store("predictions", rows[first : first + 10_000])
