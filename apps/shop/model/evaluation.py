"""How good a model is: ranking, log-loss, calibration, what one purchase does to the score, size and speed."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
from features import ALL_FEATURES, Examples, features_as_of
from sklearn.metrics import log_loss, roc_auc_score

# Returns the scores of rows with ALL_FEATURES. A model with n inputs uses the first n columns.
Score = Callable[[np.ndarray], np.ndarray]

# A wrong score of 0 or 1 would have an infinite log-loss.
LEAST_PROBABILITY = 1e-7


def scorer(path: Path) -> Score:
    """The written file's own scores, so that every figure is of what is served."""
    session = _session(path)
    columns = session.get_inputs()[0].shape[1]
    return lambda features: session.run(["score"], {"features": features[:, :columns]})[0][:, 0]


def figures(data: Examples, score: Score, base_rate: float) -> dict:
    """AUC and log-loss, beside the log-loss of answering every customer with `base_rate`."""
    scores = score(data.features)
    return {
        "rows": len(data.labels),
        "positives": int(data.labels.sum()),
        "auc": round(roc_auc_score(data.labels, scores), 4),
        "logLoss": round(float(_losses(data, scores).mean()), 4),
        "baseRateLogLoss": round(log_loss(data.labels, np.full(len(scores), base_rate)), 4),
        "meanScore": round(float(scores.mean()), 4),
        "observedRate": round(float(data.labels.mean()), 4),
    }


def change_in_log_loss(data: Examples, score: Score, reference: Score, seed: int, resamples: int = 1_000) -> dict:
    """Mean difference, row by row, with a 95 % bootstrap interval over customers, whose rows are not independent of each
    other; below zero is better than the reference."""
    differences = _losses(data, score(data.features)) - _losses(data, reference(data.features))
    customers = pd.DataFrame({"customer": data.customers, "difference": differences}).groupby("customer")
    sums, rows = (customers["difference"].agg(how).to_numpy() for how in ("sum", "size"))
    drawn = np.random.default_rng(seed).integers(0, len(sums), (resamples, len(sums)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / rows[drawn].sum(axis=1), [0.025, 0.975])
    return {name: round(float(value), 5) for name, value in (("mean", differences.mean()), ("low", low), ("high", high))}


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
    return data.only(data.features[:, ALL_FEATURES.index("recency_days")] == 0)


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


def microseconds_per_user(path: Path, features: np.ndarray) -> dict:
    """On one core of the machine that trained: the least of several times, with one user in a call and with 1,000."""
    session = _session(path)
    rows = features[:1_000, : session.get_inputs()[0].shape[1]]

    def least(users: int, repeats: int) -> float:
        times = []
        for _ in range(repeats):
            started = time.perf_counter()
            session.run(["score"], {"features": rows[:users]})
            times.append(time.perf_counter() - started)
        return round(min(times) / users * 1e6, 3)

    return {"alone": least(1, 500), "of1000": least(1_000, 50)}


def _losses(data: Examples, scores: np.ndarray) -> np.ndarray:
    bought = np.clip(scores.astype(np.float64), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return -np.log(np.where(data.labels == 1, bought, 1 - bought))


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
