"""A service of BentoML with adaptive batching, as its documentation describes it. Environment: MODEL, WORKERS."""

import os
from typing import Annotated

import bentoml
import numpy
import onnxruntime
from bentoml.validators import DType, Shape

Rows = Annotated[numpy.ndarray, DType("float32"), Shape((-1, 12))]


@bentoml.service(workers=int(os.environ["WORKERS"]), logging={"access": {"enabled": False}})
class Scores:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options)

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1_000)
    def infer(self, features: Rows) -> numpy.ndarray:
        return self.session.run(["score"], {"features": features})[0]
