"""The forms of model that the shop compares, each fitted to the same examples and written to a file.

All see log(1 + feature), but for the trees, to which it makes no difference.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_files
from features import FEATURES, Examples
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler


@dataclass(frozen=True)
class Logistic:
    """Weights and bias on log(1 + feature), with the scaler folded in."""

    weights: np.ndarray
    bias: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        logs = _logs(features[:, : len(self.weights)])
        return 1 / (1 + np.exp(-(logs @ self.weights + self.bias)))

    def write(self, path: Path) -> None:
        _write(onnx_files.logistic(self.weights, self.bias), path)


def fit_logistic(
    data: Examples, strength: float, columns: int = len(FEATURES), class_weight: str | None = None
) -> Logistic:
    """`class_weight` as scikit-learn has it: "balanced" lets the few buyers weigh as much as all others together."""
    logs = _logs(data.features[:, :columns])
    scaler = StandardScaler().fit(logs)
    model = LogisticRegression(
        C=strength, solver="newton-cholesky", tol=1e-10, max_iter=200, class_weight=class_weight
    )
    model.fit(scaler.transform(logs), data.labels)
    # Rounding removes the last bits, which differ between processors, so that the file is the same on all of them.
    weights = np.round(model.coef_[0] / scaler.scale_, 6)
    bias = round(float(model.intercept_[0] - (model.coef_[0] * scaler.mean_ / scaler.scale_).sum()), 6)
    return Logistic(weights, bias)


@dataclass(frozen=True)
class Boosted:
    model: GradientBoostingClassifier

    def predict(self, features: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(features[:, : len(FEATURES)])[:, 1]

    def write(self, path: Path) -> None:
        model = self.model
        odds = model.init_.class_prior_
        first_logit = float(np.log(odds[1] / odds[0]))
        _write(onnx_files.trees(model.estimators_[:, 0], model.learning_rate, first_logit, len(FEATURES)), path)


def fit_boosted(data: Examples, seed: int) -> Boosted:
    """60 trees of four leaves."""
    model = GradientBoostingClassifier(
        n_estimators=60, max_depth=2, learning_rate=0.1, min_samples_leaf=500, subsample=0.5, random_state=seed
    )
    return Boosted(model.fit(data.features[:, : len(FEATURES)], data.labels))


@dataclass(frozen=True)
class Network:
    scaler: StandardScaler
    layers: list[onnx_files.Layer]

    def predict(self, features: np.ndarray) -> np.ndarray:
        values = self.scaler.transform(_logs(features[:, : len(FEATURES)]))
        for weights, bias in self.layers[:-1]:
            values = np.tanh(values @ weights + bias)
        weights, bias = self.layers[-1]
        return 1 / (1 + np.exp(-(values @ weights + bias)[:, 0]))

    def write(self, path: Path) -> None:
        _write(self._onnx(), path)

    def write_int8(self, path: Path, data: Examples) -> None:
        onnx_files.int8_of(self._onnx(), str(path), data.features[::100, : len(FEATURES)])

    def _onnx(self) -> onnx_files.ModelProto:
        return onnx_files.network(self.scaler.mean_, self.scaler.scale_, self.layers)


def fit_network(data: Examples, seed: int) -> Network:
    """12 → 32 → 16 → 1."""
    logs = _logs(data.features[:, : len(FEATURES)])
    scaler = StandardScaler().fit(logs)
    model = MLPClassifier(
        (32, 16), activation="tanh", alpha=1, batch_size=2000, learning_rate_init=0.005, max_iter=12, random_state=seed
    )
    with warnings.catch_warnings():
        # Early stopping is intended.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaler.transform(logs), data.labels)
    layers = [(np.round(w, 6), np.round(b, 6)) for w, b in zip(model.coefs_, model.intercepts_, strict=True)]
    return Network(scaler, layers)


def _logs(features: np.ndarray) -> np.ndarray:
    return np.log1p(features.astype(np.float64))


def _write(model: onnx_files.ModelProto, path: Path) -> None:
    path.write_bytes(model.SerializeToString(deterministic=True))


