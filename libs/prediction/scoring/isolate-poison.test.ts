import { TandemError } from '@tandem/freshness/errors';
import type { ModelVersion } from '@tandem/freshness/predictor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scoreIsolating } from './isolate-poison.ts';
import { RowsRefused, type ScoreRequest, type Scorer, ScoringCrash } from './scoring.ts';

const version: ModelVersion = {
  id: 'm',
  number: 1,
  predictor: 'toy',
  artifactHash: 'a',
  keyType: 'int8',
  query: { sql: 'select', columns: [], asOf: null, overlayForMs: null },
  inputs: [],
  outputs: [{ name: 'score', output: 'score', type: 'float32', width: null, index: 0 }],
};

function requestOf(count: number, changes: Partial<ScoreRequest> = {}): ScoreRequest {
  const rows = Array.from({ length: count }, (_, row) => row);
  const batch = {
    history: 'h',
    readAt: 0,
    userIds: rows.map(String),
    contextVersions: rows.map(() => 1),
    columns: [],
    values: [],
    faults: new Map<number, string>(),
    unusable: new Map<number, readonly string[]>(),
  };
  return { version, batch, rows, timeoutMs: 60_000, priority: 'batch', ...changes };
}

/** A model whose score is the row's number, and which fails on batches with a poison row. */
function modelThatFailsOf(poison: ReadonlySet<number>, failure: () => Error = () => new ScoringCrash('it died')) {
  const asked: ScoreRequest[] = [];
  const scorer: Scorer = {
    async score(request) {
      asked.push(request);
      if (request.rows.some((row) => poison.has(row))) throw failure();
      return { tensors: { score: { data: request.rows.map(Number), width: 1 } } };
    },
  };
  return { scorer, asked };
}

const scoresOf = (outputs: ReadonlyMap<number, Buffer>) =>
  [...outputs].map(([row, bytes]) => [row, bytes.readFloatLE()]).sort(([a = 0], [b = 0]) => a - b);

describe('a poison user', () => {
  it('fails alone, and every other user has the right score, wherever the poison row is', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 300 }),
        fc.uniqueArray(fc.nat({ max: 299 }), { maxLength: 4 }),
        fc.constantFrom<() => Error>(
          () => new ScoringCrash('it died'),
          () => new TandemError('live_failed', 'refused'),
          () => new TandemError('model_refused', 'refused'),
        ),
        async (count, poison, failure) => {
          const { scorer } = modelThatFailsOf(new Set(poison), failure);
          const { outputs, faults } = await scoreIsolating(scorer, requestOf(count));
          const failed = poison.filter((row) => row < count).sort((a, b) => a - b);
          expect([...faults.keys()].sort((a, b) => a - b)).toEqual(failed);
          const healthy = Array.from({ length: count }, (_, row) => row).filter((row) => !failed.includes(row));
          expect(scoresOf(outputs)).toEqual(healthy.map((row) => [row, row]));
        },
      ),
      { numRuns: 200 },
    );
  });

  it('costs about two runs for each halving step', async () => {
    const { scorer, asked } = modelThatFailsOf(new Set([2_718]));
    await scoreIsolating(scorer, requestOf(5_000));
    expect(asked.length).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(5_000)) + 1);
  });

  it('fails alone: with one poison user in a hundred no other user fails, whether they are spread out or adjacent', async () => {
    const spread = Array.from({ length: 50 }, (_, i) => i * 100 + 7);
    const sideBySide = Array.from({ length: 50 }, (_, i) => i);
    for (const poison of [spread, sideBySide]) {
      const { scorer } = modelThatFailsOf(new Set(poison));
      const { outputs, faults } = await scoreIsolating(scorer, requestOf(5_000));
      expect([...faults.keys()].sort((a, b) => a - b)).toEqual(poison);
      expect(outputs.size).toBe(4_950);
    }
  });

  it('is named with the model’s message; a score that is not a number is a fault of its row alone', async () => {
    const { scorer } = modelThatFailsOf(new Set([3]), () => new TandemError('live_failed', 'index 77 is out of range'));
    const odd: Scorer = {
      async score(request) {
        const { tensors } = await scorer.score(request);
        const data = Array.from({ length: request.rows.length }, (_, i) => (request.rows[i] === 1 ? Number.NaN : 1));
        return { tensors: { ...tensors, score: { data, width: 1 } } };
      },
    };
    const { faults, withoutOutput } = await scoreIsolating(odd, requestOf(5));
    expect([...withoutOutput]).toEqual([1]);
    expect([...faults]).toEqual([
      [1, 'output score is NaN'],
      [3, 'index 77 is out of range'],
    ]);
  });
});

it('a live request gets the model’s message without numbers, since they may be features', async () => {
  const said = 'idx=-77 is not within [-10,9.5e3] (Gather_12)';
  const { scorer } = modelThatFailsOf(new Set([3]), () => new TandemError('live_failed', said));
  const { faults } = await scoreIsolating(scorer, requestOf(5, { priority: 'live' }));
  expect([...faults]).toEqual([[3, 'idx=… is not within […,…] (Gather_12)']]);
});

describe('a model that crashes on every batch', () => {
  it('is given up after a limited number of crashes, and every user has a reason', async () => {
    const { scorer, asked } = modelThatFailsOf(new Set(Array.from({ length: 5_000 }, (_, row) => row)));
    const { outputs, faults } = await scoreIsolating(scorer, requestOf(5_000));
    expect(asked.length).toBeLessThanOrEqual(128);
    expect([outputs.size, faults.size]).toEqual([0, 5_000]);
    expect(faults.get(4_999)).toMatch(
      /given up, like \d+ others of the batch, after \d+ failures of the model.*it died/,
    );
  });

  it('is given up within the budget, and the reason of users that failed together says so', async () => {
    const poison = new Set(Array.from({ length: 500 }, (_, i) => 2 * i));
    const { scorer, asked } = modelThatFailsOf(poison);
    const { outputs, faults } = await scoreIsolating(scorer, requestOf(1_000), { budget: 100 });
    expect(asked.length).toBeLessThan(100 * 3);
    expect(outputs.size + faults.size).toBe(1_000);
  });
});

describe('a failure that no row causes', () => {
  it.each(['overloaded', 'live_timeout', 'unavailable'] as const)('rejects the whole request: %s', async (code) => {
    const { scorer } = modelThatFailsOf(new Set([0]), () => new TandemError(code, 'not now'));
    await expect(scoreIsolating(scorer, requestOf(8))).rejects.toMatchObject({ code });
    await expect(scoreIsolating(scorer, requestOf(8, { priority: 'live' }))).rejects.toMatchObject({ code });
  });

  it('scoring without users runs nothing', async () => {
    const { scorer, asked } = modelThatFailsOf(new Set());
    const scores = await scoreIsolating(scorer, requestOf(0));
    expect({ ...scores, outputs: scores.outputs }).toEqual({
      parts: [],
      outputs: new Map(),
      faults: new Map(),
      unusable: new Map(),
      withoutOutput: new Set(),
      overloaded: new Set(),
      late: new Set(),
      left: [],
    });
    expect(asked).toEqual([]);
  });
});

describe('time', () => {
  it('of a live request limits all its parts: none is tried after the deadline, and scored rows are returned', async () => {
    const { scorer, asked } = modelThatFailsOf(new Set([0]));
    let clock = 0;
    const slow: Scorer = {
      async score(request) {
        clock += 15;
        return scorer.score(request);
      },
    };
    const request = requestOf(1_024, { priority: 'live', timeoutMs: 50 });
    const { outputs, faults, late } = await scoreIsolating(slow, request, { now: () => clock });
    expect(asked.length).toBeGreaterThan(2);
    expect(asked.length).toBeLessThanOrEqual(5);
    for (const [before, after] of asked.slice(1).map((one, i) => [asked[i]?.timeoutMs ?? 0, one.timeoutMs] as const))
      expect(after).toBeLessThan(before);
    expect(outputs.size).toBeGreaterThanOrEqual(512);
    expect(outputs.size + faults.size).toBe(1_024);
    expect(faults.get(0)).toContain('no time was left');
    expect([...late].sort()).toEqual([...faults.keys()].sort());
  });

  it('of a batch applies to each part: a user that hangs does not use up the time of others', async () => {
    const { scorer, asked } = modelThatFailsOf(new Set([0]));
    await scoreIsolating(scorer, requestOf(64, { timeoutMs: 1_000 }));
    expect(new Set(asked.map(({ timeoutMs }) => timeoutMs))).toEqual(new Set([1_000]));
  });

  it('of a batch full of users that hang is a few minutes: their parts end soon, each with a progress report', async () => {
    let clock = 0;
    let told = 0;
    let longestSilence = 0;
    let toldAt = 0;
    const hangs = (row: number) => row % 2 === 0;
    const scorer: Scorer = {
      async score({ rows, timeoutMs, runTimeoutMs = timeoutMs }) {
        // One more second: the child is killed, and another is started.
        clock += rows.some(hangs) ? runTimeoutMs + 1_000 : 5;
        if (rows.some(hangs)) throw new ScoringCrash('no answer');
        return { tensors: { score: { data: rows.map(Number), width: 1 } } };
      },
    };
    const onPart = () => {
      told++;
      longestSilence = Math.max(longestSilence, clock - toldAt);
      toldAt = clock;
    };
    const request = requestOf(5_000, { timeoutMs: 20_000 });
    const { outputs, faults } = await scoreIsolating(scorer, request, { onPart, now: () => clock });
    expect(clock).toBeLessThan(5 * 60_000);
    expect(longestSilence).toBeLessThan(30_000);
    expect(told).toBeGreaterThan(10);
    expect(outputs.size + faults.size).toBe(5_000);
  });

  it('of a batch is enough to find a few users that hang among many that do not', async () => {
    let clock = 0;
    const hanging = new Set([7, 2_500, 4_999]);
    const scorer: Scorer = {
      async score({ rows, timeoutMs, runTimeoutMs = timeoutMs }) {
        const hangs = rows.some((row) => hanging.has(row));
        clock += hangs ? runTimeoutMs + 1_000 : 5;
        if (hangs) throw new ScoringCrash('no answer');
        return { tensors: { score: { data: rows.map(Number), width: 1 } } };
      },
    };
    const request = requestOf(5_000, { timeoutMs: 20_000 });
    const { faults } = await scoreIsolating(scorer, request, { now: () => clock });
    expect([...faults.keys()].sort((a, b) => a - b)).toEqual([...hanging]);
  });

  it('of a batch is CPU time, so that no healthy user fails on a busy machine', async () => {
    let clock = 0;
    const scorer: Scorer = {
      async score({ rows, timeoutMs, runTimeoutMs = timeoutMs }) {
        const hangs = rows.includes(2_500);
        // The run gets a twentieth of a processor.
        clock += hangs ? runTimeoutMs * 20 : 5;
        if (hangs) throw new ScoringCrash('no answer', runTimeoutMs);
        return { tensors: { score: { data: rows.map(Number), width: 1 } } };
      },
    };
    const request = requestOf(5_000, { timeoutMs: 20_000 });
    const { faults } = await scoreIsolating(scorer, request, { now: () => clock });
    expect([...faults.keys()]).toEqual([2_500]);
  });

  it('is not spent further after the progress callback throws', async () => {
    const { scorer, asked } = modelThatFailsOf(new Set([0]));
    const onPart = () => {
      throw new Error('the lease is lost');
    };
    await expect(scoreIsolating(scorer, requestOf(64), { onPart })).rejects.toThrow('the lease is lost');
    expect(asked).toHaveLength(1);
  });
});

describe('rows that are rejected before any run', () => {
  const refusing = (code: 'features_unusable' | 'overloaded', refused: readonly number[]) => {
    const { scorer, asked } = modelThatFailsOf(new Set());
    const picky: Scorer = {
      async score(request) {
        const rows = request.rows.filter((row) => refused.includes(row));
        if (rows.length > 0) {
          const unusable = new Map(rows.map((row) => [row, [`feature ${row}`]]));
          throw new RowsRefused(code, new Map(rows.map((row) => [row, `not ${row}`])), { unusable });
        }
        return scorer.score(request);
      },
    };
    return { picky, asked };
  };

  it('fail by name, and the others are scored in a single run', async () => {
    const { picky, asked } = refusing('features_unusable', [1, 30]);
    const { outputs, faults, unusable, overloaded } = await scoreIsolating(picky, requestOf(64));
    expect([...faults]).toEqual([
      [1, 'not 1'],
      [30, 'not 30'],
    ]);
    expect([...unusable]).toEqual([
      [1, ['feature 1']],
      [30, ['feature 30']],
    ]);
    expect([outputs.size, overloaded.size, asked.length]).toEqual([62, 0, 1]);
  });

  it('for lack of room are marked in a live request, and reject a batch as a whole', async () => {
    const { picky } = refusing('overloaded', [2, 3]);
    const { outputs, overloaded } = await scoreIsolating(picky, requestOf(4, { priority: 'live' }));
    expect([[...outputs.keys()], [...overloaded]]).toEqual([
      [0, 1],
      [2, 3],
    ]);
    await expect(scoreIsolating(picky, requestOf(4))).rejects.toMatchObject({ code: 'overloaded' });
  });
});

describe('a batch that is scored in parts', () => {
  it('skips the parts after the part with which enough is done, but never all', async () => {
    const { scorer, asked } = modelThatFailsOf(new Set());
    const scores = await scoreIsolating(scorer, requestOf(10), { partRows: 4, isEnough: async () => true });
    expect(asked.map(({ rows }) => rows)).toEqual([[0, 1, 2, 3]]);
    expect(scores.left).toEqual([4, 5, 6, 7, 8, 9]);
    expect(scoresOf(scores.outputs)).toHaveLength(4);
  });

  it('is not skipped after a part has failed, since the cost of poison is limited only for the whole batch', async () => {
    const { scorer } = modelThatFailsOf(new Set([0]));
    const scores = await scoreIsolating(scorer, requestOf(10), { partRows: 4, isEnough: async () => true });
    expect(scores).toMatchObject({ left: [], faults: new Map([[0, 'it died']]) });
    expect(scoresOf(scores.outputs)).toHaveLength(9);
  });
});
