"""Trains the shop's model: the probability that a customer buys again within 28 days of the as-of date.

    python3.11 -m venv /tmp/train && /tmp/train/bin/pip install -r apps/shop/model/requirements.txt
    /tmp/train/bin/python apps/shop/model/train.py            # writes repurchase.onnx, metrics.json, golden.csv
    /tmp/train/bin/python apps/shop/model/train.py --check    # trains again, fails unless the files are the same

The history from REPLAY_BEGINS on is replayed as live events by the example, so no label used for fitting or choosing
reaches it. The test figures come from 30 % of the customers, unseen, at as-of dates in that later time, unseen too.

The form is a logistic regression on log(1 + feature): fitted up to September 1997 and judged on October to December,
gradient boosting and a small network ranked worse, and splines no better.
"""

import argparse
import hashlib
import json
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
import pandas as pd
from evaluation import Score, calibration, effect_of_a_purchase, figures, on_the_day_of_a_purchase
from features import FEATURES, HORIZON_DAYS, Examples, examples, load_transactions
from golden import golden_rows
from repurchase_onnx import IR_VERSION, OPSET, build
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent
HISTORY = HERE.parent / "data" / "transactions.csv"
FILES = ["repurchase.onnx", "metrics.json", "golden.csv"]

SEED = 19970101
HELD_OUT_SHARE = 0.3
REPLAY_BEGINS = pd.Timestamp("1998-01-01")
HISTORY_ENDS = pd.Timestamp("1998-06-30")
HORIZON = pd.Timedelta(days=HORIZON_DAYS)

# Every second day meets all weekdays. April: by then every customer has joined, as in all of the time served.
STEP_DAYS = 2
FIT_FROM = pd.Timestamp("1997-04-01")
CHOOSE_FIT_UNTIL = pd.Timestamp("1997-09-02")  # its labels end before CHOOSE_FROM
CHOOSE_FROM = pd.Timestamp("1997-10-01")
FIT_UNTIL = REPLAY_BEGINS - HORIZON - pd.Timedelta(days=1)  # 1997-12-03: labels end on 1997-12-31
TEST_UNTIL = HISTORY_ENDS - HORIZON  # 1998-06-02
STRENGTHS = [1.0, 0.1, 0.01, 0.001, 0.0001]  # inverse regularisation tried


@dataclass(frozen=True)
class Fitted:
    """Weights and bias on log(1 + feature), with the scaler folded in."""

    weights: np.ndarray
    bias: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-(np.log1p(features.astype(np.float64)) @ self.weights + self.bias)))


def fit(data: Examples, strength: float) -> Fitted:
    logs = np.log1p(data.features.astype(np.float64))
    scaler = StandardScaler().fit(logs)
    model = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-10, max_iter=200)
    model.fit(scaler.transform(logs), data.labels)
    # Rounding hides the last bits, which differ between processors: the file comes out the same on all of them.
    weights = np.round(model.coef_[0] / scaler.scale_, 6)
    bias = round(float(model.intercept_[0] - (model.coef_[0] * scaler.mean_ / scaler.scale_).sum()), 6)
    return Fitted(weights, bias)


def choose_strength(transactions: pd.DataFrame, held_out: np.ndarray) -> tuple[float, dict[str, float]]:
    """The regularisation with the best log-loss on 1997's later dates, among customers that are fitted on anyway."""
    early = examples(transactions, FIT_FROM, CHOOSE_FIT_UNTIL, STEP_DAYS)
    late = examples(transactions, CHOOSE_FROM, FIT_UNTIL, STEP_DAYS)
    early, late = (part.only(~np.isin(part.customers, held_out)) for part in (early, late))
    losses = {strength: log_loss(late.labels, fit(early, strength).predict(late.features)) for strength in STRENGTHS}
    return min(losses, key=losses.__getitem__), {str(strength): round(loss, 5) for strength, loss in losses.items()}


def write_model(fitted: Fitted, path: Path) -> Score:
    """The written file's own scores, so that every figure is of what is served."""
    path.write_bytes(build(fitted.weights, fitted.bias).SerializeToString(deterministic=True))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda features: session.run(["score"], {"features": features})[0][:, 0]


def refuse_difference(fitted: Fitted, score: Score, features: np.ndarray) -> None:
    difference = float(np.abs(score(features) - fitted.predict(features)).max())
    if difference > 1e-6:
        sys.exit(f"repurchase.onnx differs from the fitted model by {difference}: look at repurchase_onnx.py")


def test_figures(transactions: pd.DataFrame, held_out: np.ndarray, fitted: Fitted, score: Score, base: float) -> dict:
    later = examples(transactions, REPLAY_BEGINS, TEST_UNTIL, 1)
    unseen = later.only(np.isin(later.customers, held_out))
    refuse_difference(fitted, score, later.features)
    return {
        "firstAsOf": str(REPLAY_BEGINS.date()),
        "lastAsOf": str(TEST_UNTIL.date()),
        "heldOutCustomers": len(held_out),
        "heldOutCustomersAtLaterDates": figures(unseen, score, base),
        "allCustomersAtLaterDates": figures(later, score, base),
        "allCustomersOnTheDayOfAPurchase": figures(on_the_day_of_a_purchase(later), score, base),
        "calibration": calibration(unseen, score),
    }


def versions() -> dict:
    packages = {name: version(name) for name in ("numpy", "pandas", "scikit-learn", "onnx", "onnxruntime")}
    return {"python": platform.python_version(), **packages, "opset": OPSET, "ir": IR_VERSION}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def train(folder: Path) -> dict:
    """Writes FILES into `folder` and returns the metrics."""
    transactions = load_transactions(HISTORY)
    customers = np.sort(transactions["customer_id"].unique())
    held_out = np.random.default_rng(SEED).permutation(customers)[: round(len(customers) * HELD_OUT_SHARE)]
    strength, tried = choose_strength(transactions, held_out)
    fitting = examples(transactions, FIT_FROM, FIT_UNTIL, STEP_DAYS)
    fitting = fitting.only(~np.isin(fitting.customers, held_out))
    fitted, base_rate = fit(fitting, strength), float(fitting.labels.mean())
    score = write_model(fitted, folder / "repurchase.onnx")
    metrics = {
        "label": f"a purchase within {HORIZON_DAYS} days after the as-of date",
        "seed": SEED,
        "fittedOn": {
            "firstAsOf": str(FIT_FROM.date()),
            "lastAsOf": str(FIT_UNTIL.date()),
            "stepDays": STEP_DAYS,
            "lastLabelDay": str((FIT_UNTIL + HORIZON).date()),
            "customers": len(customers) - len(held_out),
            "rows": len(fitting.labels),
            "baseRate": round(base_rate, 4),
        },
        "choice": {"inverseRegularisation": strength, "logLossOn1997LaterDates": tried},
        "test": test_figures(transactions, held_out, fitted, score, base_rate),
        "effectOfAPurchase": effect_of_a_purchase(transactions, score, REPLAY_BEGINS - pd.Timedelta(days=1)),
        "weights": {**dict(zip(FEATURES, fitted.weights.tolist(), strict=True)), "bias": fitted.bias},
        "sha256": {"transactions.csv": sha256(HISTORY), "repurchase.onnx": sha256(folder / "repurchase.onnx")},
        "versions": versions(),
    }
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    golden = golden_rows(transactions, score, SEED + 1)
    golden.to_csv(folder / "golden.csv", index=False, lineterminator="\n")
    return metrics


def check() -> None:
    """Fails when training again does not give the committed bytes."""
    with TemporaryDirectory() as folder:
        train(Path(folder))
        different = [name for name in FILES if (HERE / name).read_bytes() != (Path(folder) / name).read_bytes()]
    if different:
        sys.exit(f"Training again gave other bytes for {', '.join(different)}: run train.py and commit what it writes.")
    print(f"Training again gave the same {', '.join(FILES)}.")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Train the shop's repurchase model.")
    arguments.add_argument("--check", action="store_true", help="compare with the committed files, write nothing")
    if arguments.parse_args().check:
        check()
    else:
        print(json.dumps(train(HERE)["test"]["heldOutCustomersAtLaterDates"], indent=2))
