"""Calls of Triton's own client to an API, and checks of the answers. The arguments are those of unittest: Http or Grpc."""

import asyncio
import json
import os
import unittest

import numpy as np
import tritonclient.grpc as grpcclient
import tritonclient.grpc.aio as grpcaio
import tritonclient.http as httpclient
from tritonclient.utils import InferenceServerException

ZOO = json.loads(os.environ["ZOO"])
TYPES = {"string": "BYTES", "bool": "BOOL", "float16": "FP16", "float32": "FP32", "float64": "FP64"}
NUMPY = {"string": np.object_, "bool": np.bool_}
WAIT_US = 20_000_000


def datatype(kind):
    return TYPES.get(kind, kind.upper())


def values(kind, shape):
    count = int(np.prod(shape))
    if kind == "string":
        flat = np.array([f"text {i} ä".encode() for i in range(count)], dtype=np.object_)
    elif kind == "bool":
        flat = np.arange(count) % 2 == 0
    else:
        flat = (np.arange(count) % 100).astype(kind)
        if kind == "int64":
            flat = flat + 2**53 + 1
    return flat.reshape(shape)


def score(recency, orders):
    return 1 / (1 + np.exp(-(np.float32(-0.1) * recency + np.float32(0.5) * orders)))


class Suite:
    """The same checks over both transports."""

    def tensor(self, name, data, kind, **options):
        tensor = self.module.InferInput(name, list(data.shape), datatype(kind))
        tensor.set_data_from_numpy(data, **options)
        return tensor

    def zoo(self, rows, **options):
        inputs, given = [], {}
        for one in ZOO:
            shape = [rows] if one["width"] is None else [rows, one["width"]]
            given[one["name"]] = values(one["type"], shape)
            inputs.append(self.tensor(one["name"], given[one["name"]], one["type"], **options))
        return inputs, given

    def check_zoo(self, answer, given):
        for name, data in given.items():
            found = answer.as_numpy(f"{name}_out")
            self.assertEqual(found.shape, data.shape, name)
            self.assertEqual(found.dtype, data.dtype, name)
            np.testing.assert_array_equal(found, data, name)

    def test_server_and_models(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready("zoo"))
        self.assertTrue(self.client.is_model_ready("zoo", "1"))
        self.assertFalse(self.client.is_model_ready("nobody"))
        self.assertEqual(self.metadata(self.client.get_server_metadata)["name"], "tandem")
        metadata = self.metadata(self.client.get_model_metadata, "zoo", "1")
        self.assertEqual(metadata["platform"], "onnx_onnxv1")
        vector = next(one for one in metadata["inputs"] if one["name"] == "vector")
        self.assertEqual([int(size) for size in vector["shape"]], [-1, 3])

    def test_every_type_through_several_inputs_and_outputs(self):
        inputs, given = self.zoo(7)
        answer = self.client.infer("zoo", inputs, request_id="a1", timeout=WAIT_US)
        self.check_zoo(answer, given)
        self.assertEqual(self.id_of(answer), "a1")

    def test_requested_outputs_of_a_version(self):
        inputs, given = self.zoo(2)
        outputs = [self.module.InferRequestedOutput("string_out"), self.module.InferRequestedOutput("bool_out")]
        answer = self.client.infer("zoo", inputs, model_version="1", outputs=outputs, timeout=WAIT_US)
        self.check_zoo(answer, {name: given[name] for name in ("string", "bool")})
        self.assertIsNone(answer.as_numpy("int8_out"))

    def test_an_empty_batch(self):
        inputs, given = self.zoo(0)
        answer = self.client.infer("zoo", inputs)
        for name, data in given.items():
            self.assertEqual(answer.as_numpy(f"{name}_out").shape, data.shape, name)

    def test_a_large_batch(self):
        rows = np.random.default_rng(1).random((10_000, 2), dtype=np.float32)
        answer = self.client.infer("repurchase", [self.tensor("features", rows, "float32")], timeout=WAIT_US)
        found = answer.as_numpy("score")
        self.assertEqual(found.shape, (10_000, 1))
        np.testing.assert_allclose(found[:, 0], score(rows[:, 0], rows[:, 1]), rtol=1e-5)

    def test_nan_and_infinity(self):
        inputs, given = self.zoo(1)
        odd = np.array([[np.nan]], dtype=np.float32)
        inputs = [one for one in inputs if one.name() != "float32"] + [self.tensor("float32", odd, "float32")]
        answer = self.client.infer("zoo", inputs, timeout=WAIT_US)
        self.assertTrue(np.isnan(answer.as_numpy("float32_out")).all())

    def test_predictions_of_users(self):
        users = np.array([b"3", b"1"], dtype=np.object_)
        answer = self.client.infer("repurchase.hybrid", [self.tensor("user_id", users, "string")])
        np.testing.assert_allclose(answer.as_numpy("score"), [score(30, 3), score(10, 1)], rtol=1e-5)
        self.assertTrue(set(answer.as_numpy("tandem.source")) <= {b"live", b"batch"})
        self.assertEqual(list(answer.as_numpy("tandem.model_version")), [b"1", b"1"])
        self.assertEqual(list(answer.as_numpy("tandem.context_version")), [0, 0])

    def test_predictions_of_users_by_number(self):
        users = np.array([2, 999], dtype=np.int64)
        outputs = [self.module.InferRequestedOutput(name) for name in ("score", "tandem.error")]
        answer = self.client.infer("repurchase.hybrid", [self.tensor("user_id", users, "int64")], outputs=outputs)
        self.assertEqual(list(answer.as_numpy("tandem.error")), [b"", b"urn:tandem:problem:unknown_user"])

    def test_errors(self):
        with self.assertRaises(InferenceServerException) as caught:
            self.client.infer("nobody", [self.tensor("features", np.zeros((1, 2), np.float32), "float32")])
        self.assertIn('no predictor "nobody"', caught.exception.message())
        self.assertIn(caught.exception.status(), ("404", "StatusCode.NOT_FOUND"))
        with self.assertRaises(InferenceServerException) as caught:
            self.client.infer("repurchase", [self.tensor("features", np.zeros((1, 3), np.float32), "float32")])
        self.assertIn("the model takes [1,2]", caught.exception.message())
        with self.assertRaises(InferenceServerException) as caught:
            self.client.infer("repurchase", [self.tensor("features", np.zeros((1, 2), np.float64), "float64")])
        self.assertIn("the model takes FP32", caught.exception.message())


class Http(Suite, unittest.TestCase):
    module = httpclient

    def setUp(self):
        self.client = httpclient.InferenceServerClient(f"127.0.0.1:{os.environ['HTTP_PORT']}", concurrency=8)

    def tearDown(self):
        self.client.close()

    def metadata(self, get, *arguments):
        return get(*arguments)

    def id_of(self, answer):
        return answer.get_response()["id"]

    def test_every_type_as_json(self):
        kinds = [one for one in ZOO if one["type"] not in ("float16", "int64")]
        inputs, given = self.zoo(3)
        for one in kinds:
            given[one["name"]] = values(one["type"], [3, one["width"]])
        inputs = [one for one in inputs if one.datatype() in ("FP16", "INT64")]
        inputs += [self.tensor(one["name"], given[one["name"]], one["type"], binary_data=False) for one in kinds]
        outputs = [self.module.InferRequestedOutput(f"{one['name']}_out", binary_data=False) for one in kinds]
        answer = self.client.infer("zoo", inputs, outputs=outputs, timeout=WAIT_US)
        for one in kinds:
            found = answer.as_numpy(f"{one['name']}_out")
            expected = given[one["name"]]
            if one["type"] == "string":
                expected = np.vectorize(lambda text: text.decode(), otypes=[np.object_])(expected)
            np.testing.assert_array_equal(found, expected, one["name"])

    def test_many_at_once(self):
        inputs = lambda i: [self.tensor("features", np.array([[i, 1]], np.float32), "float32")]
        pending = [self.client.async_infer("repurchase", inputs(i), timeout=WAIT_US) for i in range(50)]
        for i, one in enumerate(pending):
            np.testing.assert_allclose(one.get_result().as_numpy("score")[0], score(i, 1), rtol=1e-5)


class Grpc(Suite, unittest.TestCase):
    module = grpcclient

    def setUp(self):
        self.url = f"127.0.0.1:{os.environ['GRPC_PORT']}"
        self.client = grpcclient.InferenceServerClient(self.url)

    def tearDown(self):
        self.client.close()

    def metadata(self, get, *arguments):
        return get(*arguments, as_json=True)

    def id_of(self, answer):
        return answer.get_response().id

    def test_many_at_once(self):
        async def ask():
            async with grpcaio.InferenceServerClient(self.url) as client:
                inputs = lambda i: [self.tensor("features", np.array([[i, 1]], np.float32), "float32")]
                return await asyncio.gather(*(client.infer("repurchase", inputs(i), timeout=WAIT_US) for i in range(50)))

        for i, one in enumerate(asyncio.run(ask())):
            np.testing.assert_allclose(one.as_numpy("score")[0], score(i, 1), rtol=1e-5)

    def test_a_deadline(self):
        with self.assertRaises(InferenceServerException) as caught:
            rows = np.zeros((10_000, 2), np.float32)
            self.client.infer("repurchase", [self.tensor("features", rows, "float32")], client_timeout=0.0001)
        self.assertIn("DEADLINE_EXCEEDED", caught.exception.status())


if __name__ == "__main__":
    unittest.main()
