"""Makes an int8 build of an ONNX model: quantise.py <in.onnx> <out.onnx> dynamic | static <calibration.json>

Weights of matrix products and convolutions become int8. `dynamic` scales activations run by run; `static` by what real
users' rows gave, so that an answer does not depend on who is inferred beside whom. Prints one JSON document: what became
of it. Ends with 3 where the model has nothing to quantise (trees, for one), having written no file.
"""

import json
import os
import sys

import numpy
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

NOTHING_TO_QUANTISE = 3
# The opset in which the standard operators got scales per channel.
LEAST_OPSET = 13
STANDARD = ("", "ai.onnx")
# Only these operators benefit from int8. Others use little CPU and would lose accuracy for little gain.
PRODUCTS = ["MatMul", "Gemm", "Conv"]
INTEGER_PRODUCTS = {"MatMulInteger", "ConvInteger", "QLinearMatMul", "QLinearConv"}
ROWS_OF_A_RUN = 64
# Weights of 7 bits. A CPU without VNNI adds two products in 16 bits, which weights of 8 bits overflow. So the same file
# would answer differently on different machines, by up to 0.17 for the shop's network.
REDUCE_RANGE = True


class Calibration(CalibrationDataReader):
    """Rows of real users, a few at a time."""

    def __init__(self, manifest):
        with open(manifest, encoding="utf-8") as file:
            tensors = json.load(file)
        folder = os.path.dirname(manifest)
        self.tensors = {
            tensor["name"]: numpy.fromfile(os.path.join(folder, tensor["file"]), dtype=tensor["type"]).reshape(tensor["dims"])
            for tensor in tensors
        }
        self.rows = min(len(values) for values in self.tensors.values())
        self.at = 0

    def get_next(self):
        if self.at >= self.rows:
            return None
        first, self.at = self.at, self.at + ROWS_OF_A_RUN
        return {name: values[first : self.at] for name, values in self.tensors.items()}


def with_opset(model):
    opset = next((one.version for one in model.opset_import if one.domain in STANDARD), LEAST_OPSET)
    return model if opset >= LEAST_OPSET else onnx.version_converter.convert_version(model, LEAST_OPSET)


def int8_products(model):
    """Products of integers, or of what is int8 until then: ONNX Runtime makes one of the two."""
    scaled = {name for node in model.graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    return sum(
        node.op_type in INTEGER_PRODUCTS or (node.op_type in PRODUCTS and not scaled.isdisjoint(node.input))
        for node in model.graph.node
    )


def drop_unused_domains(model):
    used = {node.domain for node in model.graph.node}
    kept = [one for one in model.opset_import if one.domain in STANDARD or one.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def quantise(source, target, kind, calibration):
    model = with_opset(onnx.load(source))
    staged = target + ".staged"
    onnx.save(model, staged)
    if kind == "static":
        quantize_static(
            staged,
            target,
            Calibration(calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=PRODUCTS,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=REDUCE_RANGE,
        )
    else:
        quantize_dynamic(staged, target, weight_type=QuantType.QInt8, per_channel=True, reduce_range=REDUCE_RANGE)
    os.remove(staged)
    return model, onnx.load(target)


def main():
    source, target, kind, *rest = sys.argv[1:]
    model, built = quantise(source, target, kind, rest[0] if rest else None)
    # A file that was already int8 has some of these nodes before.
    quantised = int8_products(built) - int8_products(model)
    if quantised > 0:
        drop_unused_domains(built)
        onnx.save(built, target)
    else:
        os.remove(target)
    print(
        json.dumps(
            {
                "quantised": quantised,
                "operators": sorted({node.op_type for node in model.graph.node}),
                "onnxruntime": onnxruntime.__version__,
            }
        )
    )
    return 0 if quantised > 0 else NOTHING_TO_QUANTISE


if __name__ == "__main__":
    sys.exit(main())
