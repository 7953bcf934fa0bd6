"""How good the model is: ranking, log-loss, calibration, and what one purchase does to the score."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from features import FEATURES, Examples, features_as_of
from sklearn.metrics import log_loss, roc_auc_score

Score = Callable[[np.ndarray], np.ndarray]


def figures(data: Examples, score: Score, base_rate: float) -> dict:
    """AUC and log-loss, beside the log-loss of answering every customer with `base_rate`."""
    scores = score(data.features)
    return {
        "rows": len(data.labels),
        "positives": int(data.labels.sum()),
        "auc": round(roc_auc_score(data.labels, scores), 4),
        "logLoss": round(log_loss(data.labels, scores), 4),
        "baseRateLogLoss": round(log_loss(data.labels, np.full(len(scores), base_rate)), 4),
        "meanScore": round(float(scores.mean()), 4),
        "observedRate": round(float(data.labels.mean()), 4),
    }


def calibration(data: Examples, score: Score, bins: int = 10) -> list[dict]:
    """Mean score and observed rate in bins of equal size, lowest scores first."""
    scores = score(data.features)
    parts = np.array_split(np.argsort(scores, kind="stable"), bins)
    return [
        {"meanScore": round(float(scores[part].mean()), 4), "observedRate": round(float(data.labels[part].mean()), 4)}
        for part in parts
    ]


def on_the_day_of_a_purchase(data: Examples) -> Examples:
    """The rows a live answer is for: context that has just changed."""
    return data.only(data.features[:, FEATURES.index("recency_days")] == 0)


def effect_of_a_purchase(transactions: pd.DataFrame, score: Score, today: pd.Timestamp) -> dict:
    """The scores of all customers as of `today`, and again had each bought one CD of median price that day."""
    before = features_as_of(transactions, today)
    cents = int(transactions["cents"].median())
    bought = pd.DataFrame({"customer_id": before.index, "date": today, "quantity": 1, "cents": cents})
    after = features_as_of(pd.concat([transactions[transactions["date"] <= today], bought]), today)
    old, new = score(before.to_numpy()), score(after.to_numpy())
    return {
        "asOf": str(today.date()),
        "medianBefore": round(float(np.median(old)), 4),
        "medianAfter": round(float(np.median(new)), 4),
        "shareRaised": round(float((new > old).mean()), 4),
    }
