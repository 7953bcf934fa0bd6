"""The features of the view shop.customer_features and of fourteen.sql, computed with pandas for training.

Training looks at the history as of hundreds of days; the database only ever answers as of its own today. The two must
agree, or the model is served other numbers than it learned from: the rows of golden.csv come from here, and
customer-features.integration.test.ts finds the same ones in the database. At an as-of date D only transactions dated <= D
count, and "in the last W days" means D - date < W.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

# The models' input order. The view's columns and tandem.config.ts list the same names in the same order.
FEATURES = [
    "recency_days",
    "tenure_days",
    "order_count",
    "orders_30d",
    "orders_90d",
    "orders_180d",
    "active_days",
    "total_quantity",
    "total_amount",
    "amount_90d",
    "avg_amount",
    "max_amount",
]

# The features that fourteen.sql adds: the mean interval of a customer's buying days, and how long the next one is
# overdue.
RHYTHM = ["days_between_orders", "lateness"]
ALL_FEATURES = [*FEATURES, *RHYTHM]

HORIZON_DAYS = 28


@dataclass(frozen=True)
class Examples:
    """Rows of (customer, as-of date): features in ALL_FEATURES order, label, customer."""

    features: np.ndarray
    labels: np.ndarray
    customers: np.ndarray

    def only(self, mask: np.ndarray) -> "Examples":
        return Examples(self.features[mask], self.labels[mask], self.customers[mask])


def load_transactions(path: Path) -> pd.DataFrame:
    """Customer, day, quantity and amount in whole cents: sums of cents are exact, as Postgres' numeric is."""
    frame = pd.read_csv(path, parse_dates=["date"])
    frame["cents"] = (frame["amount"] * 100).round().astype("int64")
    return frame


def features_as_of(transactions: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """One row for each customer who has bought by `as_of`, indexed by customer_id, columns in ALL_FEATURES order."""
    past = transactions[transactions["date"] <= as_of]
    age = (as_of - past["date"]).dt.days
    past = past.assign(
        age=age,
        in_30d=(age < 30).astype("int64"),
        in_90d=(age < 90).astype("int64"),
        in_180d=(age < 180).astype("int64"),
        cents_90d=past["cents"].where(age < 90, 0),
    )
    rows = past.groupby("customer_id").agg(
        recency_days=("age", "min"),
        tenure_days=("age", "max"),
        order_count=("age", "size"),
        orders_30d=("in_30d", "sum"),
        orders_90d=("in_90d", "sum"),
        orders_180d=("in_180d", "sum"),
        active_days=("date", "nunique"),
        total_quantity=("quantity", "sum"),
        total_cents=("cents", "sum"),
        cents_90d=("cents_90d", "sum"),
        max_cents=("cents", "max"),
    )
    rows["total_amount"] = rows["total_cents"] / 100
    rows["amount_90d"] = rows["cents_90d"] / 100
    rows["avg_amount"] = rows["total_amount"] / rows["order_count"]
    rows["max_amount"] = rows["max_cents"] / 100
    # A customer who bought on one day only has no interval between purchases; it counts as 0.
    rows["days_between_orders"] = (rows["tenure_days"] - rows["recency_days"]) / (rows["active_days"] - 1).clip(lower=1)
    rows["lateness"] = rows["recency_days"] / rows["days_between_orders"].clip(lower=1)
    return rows[ALL_FEATURES].astype(np.float32)


def bought_within_horizon(transactions: pd.DataFrame, as_of: pd.Timestamp, customers: pd.Index) -> np.ndarray:
    """1 for each customer with a purchase after `as_of` and at most HORIZON_DAYS later, else 0."""
    end = as_of + pd.Timedelta(days=HORIZON_DAYS)
    window = transactions[(transactions["date"] > as_of) & (transactions["date"] <= end)]
    return customers.isin(window["customer_id"].unique()).astype(np.int64)


def examples(transactions: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp, step_days: int) -> Examples:
    """Every customer as of every `step_days`-th day from `first` to `last`."""
    features, labels, customers = [], [], []
    for as_of in pd.date_range(first, last, freq=f"{step_days}D"):
        rows = features_as_of(transactions, as_of)
        features.append(rows.to_numpy())
        labels.append(bought_within_horizon(transactions, as_of, rows.index))
        customers.append(rows.index.to_numpy())
    return Examples(np.concatenate(features), np.concatenate(labels), np.concatenate(customers))
