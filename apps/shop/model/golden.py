"""Rows that tests compare with: the features and each model's score, as training saw them.

50 customers as of seeded dates from March 1997 to the end of the history: 14 on any day, 16 on the day of a purchase,
8 on a day with two purchases or more, and 12 on the last day that a purchase counts in a window or the day after, where
a boundary off by one would show. Numbers are the shortest text that reads back as the same float32.
"""

import numpy as np
import pandas as pd
from evaluation import Score
from features import ALL_FEATURES, features_as_of


def golden_rows(transactions: pd.DataFrame, scores: dict[str, Score], seed: int) -> pd.DataFrame:
    lines = []
    for customer, as_of in _picks(transactions, np.random.default_rng(seed)).itertuples(index=False):
        row = features_as_of(transactions[transactions["customer_id"] == customer], as_of).to_numpy()
        values = [*row[0], *(score(row)[0] for score in scores.values())]
        texts = [np.format_float_positional(value, unique=True, trim="-") for value in values]
        lines.append([customer, str(as_of.date()), *texts])
    return pd.DataFrame(lines, columns=["customer_id", "as_of", *ALL_FEATURES, *scores])


def _picks(transactions: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Customers and as-of dates; from April 1997 on every customer has a row on any day."""
    last_day = transactions["date"].max()
    any_day = pd.DataFrame(
        {
            "customer_id": random.choice(transactions["customer_id"].unique(), 14, replace=False),
            "date": random.choice(pd.date_range("1997-04-01", last_day), 14),
        }
    )
    since_march = transactions[transactions["date"] >= "1997-03-01"]
    days = since_march.groupby(["customer_id", "date"]).size().reset_index(name="purchases")
    picks = [any_day]
    for rows, count in ((days[days["purchases"] == 1], 16), (days[days["purchases"] > 1], 8)):
        picks.append(rows.iloc[random.choice(len(rows), count, replace=False)])
    for age in (29, 30, 89, 90, 179, 180):
        later = days.assign(date=days["date"] + pd.Timedelta(days=age))
        later = later[later["date"] <= last_day]
        picks.append(later.iloc[random.choice(len(later), 2, replace=False)])
    return pd.concat(picks)[["customer_id", "date"]].sort_values(["customer_id", "date"])
