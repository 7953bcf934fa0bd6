"""A deployment of Ray Serve with dynamic request batching, as its documentation describes it.

Environment: MODEL, WORKERS, PORT.
"""

import os
import signal

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

WORKERS = int(os.environ["WORKERS"])


@serve.deployment(
    num_replicas=WORKERS,
    max_ongoing_requests=128,
    ray_actor_options={"num_cpus": 1},
    logging_config={"enable_access_log": False},
)
class Scores:
    def __init__(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options)

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0)
    async def infer(self, rows: list[list[float]]) -> list[float]:
        import numpy

        return self.session.run(["score"], {"features": numpy.array(rows, dtype=numpy.float32)})[0][:, 0].tolist()

    async def __call__(self, request: Request) -> JSONResponse:
        if request.method == "GET":
            return JSONResponse({"ready": True})
        return JSONResponse({"score": await self.infer((await request.json())["features"])})


ray.init(
    num_cpus=WORKERS + 1,
    include_dashboard=False,
    object_store_memory=80 * 2**20,
    log_to_driver=False,
    _node_ip_address="127.0.0.1",
    _temp_dir=os.environ["RAY_FOLDER"],
)
serve.start(
    http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])},
    logging_config={"enable_access_log": False},
)
serve.run(Scores.bind(), route_prefix="/infer")
signal.sigwait([signal.SIGTERM, signal.SIGINT])
serve.shutdown()
ray.shutdown()
