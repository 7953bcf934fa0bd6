"""Stores predictions as Redis hashes: `peer:<user id>` with `score` and `version`. Usage: store_predictions.py <file>

The file has one line per user: `<user id> <score>`. Environment: REDIS_URL.
"""

import os
import sys
from itertools import islice

import redis

client = redis.from_url(os.environ["REDIS_URL"])
with open(sys.argv[1]) as lines:
    while some := list(islice(lines, 1_000)):
        pipeline = client.pipeline(transaction=False)
        for line in some:
            user_id, score = line.split()
            pipeline.hset(f"peer:{user_id}", mapping={"score": score, "version": "0"})
        pipeline.execute()
