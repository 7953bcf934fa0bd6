"""FastAPI with Redis and ONNX Runtime, set up as their documentation describes.

`uvicorn[standard]` includes uvloop and httptools, `redis[hiredis]` a parser in C, and asyncpg a pool of ten connections. The
model runs in the handler's thread, because it is fast and a separate thread would cost more.

Environment: REDIS_URL, DATABASE_URL, TABLE, MODEL.
"""

import os
from contextlib import asynccontextmanager

import asyncpg
import numpy
import onnxruntime
import redis.asyncio
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

FEATURES = [f"f{i}" for i in range(1, 13)]
QUERY = f"select {', '.join(FEATURES)} from {os.environ['TABLE']} where user_id = $1"

options = onnxruntime.SessionOptions()
# One row per call: more threads would only wait for each other.
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options)
stored = redis.asyncio.from_url(os.environ["REDIS_URL"], decode_responses=True)


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with asyncpg.create_pool(os.environ["DATABASE_URL"]) as pool:
        app.state.pool = pool
        yield
    await stored.aclose()


app = FastAPI(lifespan=lifespan)


class Prediction(BaseModel):
    user_id: str
    score: float


class Features(BaseModel):
    features: list[float]


class Score(BaseModel):
    score: float


def infer(row) -> float:
    return session.run(["score"], {"features": numpy.array([row], dtype=numpy.float32)})[0].item()


@app.get("/stored/{user_id}")
async def read_stored(user_id: str) -> Prediction:
    """Answers with one HMGET. The answer does not show the age of the prediction."""
    score, _ = await stored.hmget(f"peer:{user_id}", "score", "version")
    if score is None:
        raise HTTPException(404)
    return Prediction(user_id=user_id, score=float(score))


@app.get("/live/{user_id}")
async def read_live(user_id: str) -> Prediction:
    """Reads the user's features from Postgres by primary key and runs the model."""
    row = await app.state.pool.fetchrow(QUERY, int(user_id))
    if row is None:
        raise HTTPException(404)
    return Prediction(user_id=user_id, score=infer(tuple(row)))


@app.post("/infer")
async def infer_given(given: Features) -> Score:
    """Runs only the model."""
    return Score(score=infer(given.features))
