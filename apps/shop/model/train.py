"""Trains the shop's models: the probability that a customer buys again within 28 days of the as-of date.

    python3.11 -m venv /tmp/train && /tmp/train/bin/pip install -r apps/shop/model/requirements.txt
    /tmp/train/bin/python apps/shop/model/train.py            # writes the .onnx files, metrics.json, golden.csv
    /tmp/train/bin/python apps/shop/model/train.py --check    # trains again; fails if the files differ

The history from REPLAY_BEGINS on is replayed as live events by the example, so no label used for fitting or choosing
reaches it. The test figures come from 30 % of the customers, unseen, at as-of dates in that later time, unseen too.

- `repurchase`, served first: a logistic regression on log(1 + feature).
- `boosted`, `network`, `network-int8`: other forms on the same 12 columns, and the network in 8 bits.
- `fourteen`: the logistic regression with the two columns more that fourteen.sql computes.
- `balanced`: a mistake made on purpose, and a common one. It was fitted as if every second customer bought, and nothing
  was scaled back: it ranks customers as well as `repurchase` does, so that its AUC shows nothing, and its scores are far
  too high.
"""

import argparse
import hashlib
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import evaluation
import numpy as np
import pandas as pd
from evaluation import Score
from features import ALL_FEATURES, FEATURES, HORIZON_DAYS, Examples, examples, load_transactions
from fitting import Boosted, Logistic, Network, fit_boosted, fit_logistic, fit_network
from golden import golden_rows
from onnx_files import IR_VERSION, OPSET
from sklearn.metrics import log_loss

HERE = Path(__file__).parent
HISTORY = HERE.parent / "data" / "transactions.csv"

SEED = 19970101
HELD_OUT_SHARE = 0.3
REPLAY_BEGINS = pd.Timestamp("1998-01-01")
HISTORY_ENDS = pd.Timestamp("1998-06-30")
HORIZON = pd.Timedelta(days=HORIZON_DAYS)

# Every second day covers all weekdays. From April on, every customer has joined, as in the whole served period.
STEP_DAYS = 2
FIT_FROM = pd.Timestamp("1997-04-01")
CHOOSE_FIT_UNTIL = pd.Timestamp("1997-09-02")  # its labels end before CHOOSE_FROM
CHOOSE_FROM = pd.Timestamp("1997-10-01")
FIT_UNTIL = REPLAY_BEGINS - HORIZON - pd.Timedelta(days=1)  # 1997-12-03: labels end on 1997-12-31
TEST_UNTIL = HISTORY_ENDS - HORIZON  # 1998-06-02
STRENGTHS = [1.0, 0.1, 0.01, 0.001, 0.0001]  # inverse regularisation tried

Fitted = Logistic | Boosted | Network


def choose_strength(transactions: pd.DataFrame, held_out: np.ndarray) -> tuple[float, dict[str, float]]:
    """The regularisation with the best log-loss on 1997's later dates, among customers that are fitted on anyway."""
    early = examples(transactions, FIT_FROM, CHOOSE_FIT_UNTIL, STEP_DAYS)
    late = examples(transactions, CHOOSE_FROM, FIT_UNTIL, STEP_DAYS)
    early, late = (part.only(~np.isin(part.customers, held_out)) for part in (early, late))
    losses = {
        strength: log_loss(late.labels, fit_logistic(early, strength).predict(late.features)) for strength in STRENGTHS
    }
    return min(losses, key=losses.__getitem__), {str(strength): round(loss, 5) for strength, loss in losses.items()}


def write_models(folder: Path, fitting: Examples, strength: float) -> dict[str, Path]:
    """Fits each form and writes its file; by name, `repurchase` first."""
    network = fit_network(fitting, SEED)
    fitted: dict[str, Fitted] = {
        "repurchase": fit_logistic(fitting, strength),
        "boosted": fit_boosted(fitting, SEED),
        "network": network,
        "fourteen": fit_logistic(fitting, strength, len(ALL_FEATURES)),
        "balanced": fit_logistic(fitting, strength, class_weight="balanced"),
    }
    paths = {name: folder / f"{name}.onnx" for name in (*fitted, "network-int8")}
    for name, model in fitted.items():
        model.write(paths[name])
        refuse_difference(model, paths[name], fitting.features[::20])
    network.write_int8(paths["network-int8"], fitting)
    return paths


def refuse_difference(fitted: Fitted, path: Path, features: np.ndarray) -> None:
    difference = float(np.abs(evaluation.scorer(path)(features) - fitted.predict(features)).max())
    if difference > 1e-5:
        sys.exit(f"{path.name} differs from the fitted model by {difference}: look at onnx_files.py")


def figures_of(path: Path, unseen: Examples, later: Examples, base_rate: float, reference: Score) -> dict:
    score = evaluation.scorer(path)
    return {
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
        "heldOutCustomersAtLaterDates": evaluation.figures(unseen, score, base_rate),
        "allCustomersAtLaterDates": evaluation.figures(later, score, base_rate),
        "changeInLogLoss": {
            "heldOutCustomers": evaluation.change_in_log_loss(unseen, score, reference, SEED),
            "allCustomers": evaluation.change_in_log_loss(later, score, reference, SEED),
        },
        "allCustomersOnTheDayOfAPurchase": evaluation.figures(
            evaluation.on_the_day_of_a_purchase(later), score, base_rate
        ),
        "calibration": evaluation.calibration(unseen, score),
        "microsecondsPerUser": evaluation.microseconds_per_user(path, unseen.features),
    }


def packages() -> dict:
    names = ("numpy", "pandas", "scikit-learn", "onnx", "onnxruntime")
    return {"python": platform.python_version(), **{name: version(name) for name in names}, "opset": OPSET, "ir": IR_VERSION}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def train(folder: Path) -> dict:
    """Writes the files into `folder` and returns the metrics."""
    transactions = load_transactions(HISTORY)
    customers = np.sort(transactions["customer_id"].unique())
    held_out = np.random.default_rng(SEED).permutation(customers)[: round(len(customers) * HELD_OUT_SHARE)]
    strength, tried = choose_strength(transactions, held_out)
    fitting = examples(transactions, FIT_FROM, FIT_UNTIL, STEP_DAYS)
    fitting = fitting.only(~np.isin(fitting.customers, held_out))
    later = examples(transactions, REPLAY_BEGINS, TEST_UNTIL, 1)
    unseen = later.only(np.isin(later.customers, held_out))
    base_rate = float(fitting.labels.mean())
    paths = write_models(folder, fitting, strength)
    scores = {name: evaluation.scorer(path) for name, path in paths.items()}
    reference = scores["repurchase"]
    models = {name: figures_of(path, unseen, later, base_rate, reference) for name, path in paths.items()}
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
        "testedOn": {
            "firstAsOf": str(REPLAY_BEGINS.date()),
            "lastAsOf": str(TEST_UNTIL.date()),
            "heldOutCustomers": len(held_out),
        },
        "choice": {"inverseRegularisation": strength, "logLossOn1997LaterDates": tried},
        "models": models,
        "effectOfAPurchase": evaluation.effect_of_a_purchase(
            transactions, reference, REPLAY_BEGINS - pd.Timedelta(days=1)
        ),
        "packages": packages(),
    }
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    golden = golden_rows(transactions, scores, SEED + 1)
    golden.to_csv(folder / "golden.csv", index=False, lineterminator="\n")
    return metrics


def check() -> None:
    """Fails when training again does not give the committed files; times of a machine may differ."""
    with TemporaryDirectory() as folder:
        train(Path(folder))
        names = sorted(path.name for path in Path(folder).iterdir())
        different = [name for name in names if untimed(HERE / name) != untimed(Path(folder) / name)]
    if different:
        sys.exit(f"Training again gave other bytes for {', '.join(different)}: run train.py and commit what it writes.")
    print(f"Training again gave the same {', '.join(names)}.")


def untimed(path: Path) -> bytes | dict:
    if path.suffix != ".json":
        return path.read_bytes()
    metrics = json.loads(path.read_text())
    for model in metrics["models"].values():
        del model["microsecondsPerUser"]
    return metrics


def table(metrics: dict) -> str:
    lines = [f"{'model':14}{'AUC':>8}{'log-loss':>10}   {'change [95 % interval]':28}{'bytes':>8}{'µs/user':>9}"]
    for name, model in metrics["models"].items():
        test, change = model["heldOutCustomersAtLaterDates"], model["changeInLogLoss"]["heldOutCustomers"]
        interval = f"{change['mean']:+.5f} [{change['low']:+.5f}, {change['high']:+.5f}]"
        speed = model["microsecondsPerUser"]["of1000"]
        lines.append(f"{name:14}{test['auc']:8.4f}{test['logLoss']:10.4f}   {interval:28}{model['bytes']:8}{speed:9.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Train the shop's repurchase models.")
    arguments.add_argument("--check", action="store_true", help="compare with the committed files, write nothing")
    if arguments.parse_args().check:
        check()
    else:
        print(table(train(HERE)))
