"""Writes the fitted model as ONNX by hand: four operators instead of a converter's dozens, and bytes we control.

score = sigmoid(weights . log(1 + max(features, 0)) + bias). The scaler is folded into weights and bias. A negative
total (possible after a refund) counts as nothing bought; without the Relu its logarithm would be NaN.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17  # what every current runtime reads, also in browsers
IR_VERSION = 8


def build(weights: np.ndarray, bias: float) -> onnx.ModelProto:
    """`features` float32 [N, len(weights)] in, `score` float32 [N, 1] out."""
    count = len(weights)
    constants = {
        "one": np.ones((1,), np.float32),
        "weights": weights.astype(np.float32).reshape(count, 1),
        "bias": np.asarray([bias], np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["features"], ["bought"]),
            helper.make_node("Add", ["bought", "one"], ["above_one"]),
            helper.make_node("Log", ["above_one"], ["logs"]),
            helper.make_node("Gemm", ["logs", "weights", "bias"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], ["score"]),
        ],
        "repurchase",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", count])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["N", 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, producer_name="tandem-shop", opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model
