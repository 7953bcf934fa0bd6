"""Writes fitted models as ONNX by hand: a few operators instead of a converter's dozens, and bytes we control.

Each takes `features` float32 [N, columns] and gives `score` float32 [N, 1]. A negative total (possible after a refund)
counts as nothing bought; without the Relu its logarithm would be NaN.
"""

import logging
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

OPSET = 17  # every current runtime reads this version, also in browsers
TREES_OPSET = 3
IR_VERSION = 8

Layer = tuple[np.ndarray, np.ndarray]

LOGS = [
    helper.make_node("Relu", ["features"], ["bought"]),
    helper.make_node("Add", ["bought", "one"], ["above_one"]),
    helper.make_node("Log", ["above_one"], ["logs"]),
]
ONE = {"one": np.ones((1,), np.float32)}
SCORE = helper.make_node("Sigmoid", ["logit"], ["score"])


def logistic(weights: np.ndarray, bias: float) -> ModelProto:
    """sigmoid(weights . log(1 + max(features, 0)) + bias)."""
    count = len(weights)
    constants = ONE | {
        "weights": weights.astype(np.float32).reshape(count, 1),
        "bias": np.asarray([bias], np.float32),
    }
    return _model([*LOGS, helper.make_node("Gemm", ["logs", "weights", "bias"], ["logit"]), SCORE], constants, count)


def network(mean: np.ndarray, scale: np.ndarray, layers: Sequence[Layer]) -> ModelProto:
    """Layers with tanh between them on standardised logarithms. The scaler stays apart from the first layer's weights:
    folded in, it would spread them too far for eight bits."""
    constants = ONE | {"mean": mean.astype(np.float32), "scale": scale.astype(np.float32)}
    nodes = [
        *LOGS,
        helper.make_node("Sub", ["logs", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["layer_0"]),
    ]
    for number, (weights, bias) in enumerate(layers, start=1):
        constants |= {f"weights_{number}": weights.astype(np.float32), f"bias_{number}": bias.astype(np.float32)}
        summed = "logit" if number == len(layers) else f"summed_{number}"
        nodes += [
            helper.make_node("MatMul", [f"layer_{number - 1}", f"weights_{number}"], [f"product_{number}"]),
            helper.make_node("Add", [f"product_{number}", f"bias_{number}"], [summed]),
        ]
        if number < len(layers):
            nodes.append(helper.make_node("Tanh", [summed], [f"layer_{number}"]))
    return _model([*nodes, SCORE], constants, len(mean))


def trees(estimators: Sequence, rate: float, first_logit: float, columns: int) -> ModelProto:
    """The sum of scikit-learn's regression trees, each leaf times the learning rate."""
    nodes: dict[str, list] = {key: [] for key in ("treeids", "nodeids", "featureids", "values", "modes")}
    nodes |= {"truenodeids": [], "falsenodeids": []}
    leaves: dict[str, list] = {key: [] for key in ("treeids", "nodeids", "ids", "weights")}
    for number, tree in enumerate(estimator.tree_ for estimator in estimators):
        for place in range(tree.node_count):
            is_leaf = tree.children_left[place] < 0
            nodes["treeids"].append(number)
            nodes["nodeids"].append(place)
            nodes["modes"].append("LEAF" if is_leaf else "BRANCH_LEQ")
            nodes["featureids"].append(0 if is_leaf else int(tree.feature[place]))
            nodes["values"].append(0.0 if is_leaf else _float32_below(tree.threshold[place]))
            nodes["truenodeids"].append(0 if is_leaf else int(tree.children_left[place]))
            nodes["falsenodeids"].append(0 if is_leaf else int(tree.children_right[place]))
            if is_leaf:
                leaves["treeids"].append(number)
                leaves["nodeids"].append(place)
                leaves["ids"].append(0)
                leaves["weights"].append(round(rate * float(tree.value[place].item()), 6))
    attributes = {f"nodes_{key}": values for key, values in nodes.items()}
    attributes |= {f"target_{key}": values for key, values in leaves.items()}
    ensemble = helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        ["logit"],
        domain="ai.onnx.ml",
        n_targets=1,
        base_values=[round(first_logit, 6)],
        **attributes,
    )
    return _model([ensemble, SCORE], {}, columns)


def int8_of(model: ModelProto, path: str, calibration: np.ndarray) -> None:
    """Writes a build whose matrices multiply in 8 bits. The ranges come from `calibration` and are written into the file:
    were they taken from each batch, as "dynamic" builds do, a customer's score would depend on who is scored beside."""
    logging.disable(logging.WARNING)  # quantize_static advises pre-processing, which has no effect on a graph this small
    quantize_static(
        model,
        path,
        _Rows(calibration),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        reduce_range=True,  # 7-bit weights: a CPU without VNNI adds two products in 16 bits, which 8-bit weights overflow
    )


class _Rows(CalibrationDataReader):
    def __init__(self, rows: np.ndarray) -> None:
        self.batches = iter([{"features": rows}])

    def get_next(self) -> dict | None:
        return next(self.batches, None)


def _float32_below(threshold: float) -> float:
    """The largest float32 that is not above: float32 features then fall on the same side as when they were fitted."""
    nearest = np.float32(threshold)
    return float(nearest if nearest <= threshold else np.nextafter(nearest, np.float32(-np.inf)))


def _model(nodes: Sequence[NodeProto], constants: dict[str, np.ndarray], columns: int) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "repurchase",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", columns])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N", 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    if any(node.domain == "ai.onnx.ml" for node in nodes):
        opsets.append(helper.make_opsetid("ai.onnx.ml", TREES_OPSET))
    model = helper.make_model(graph, producer_name="tandem-shop", opset_imports=opsets)
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model
