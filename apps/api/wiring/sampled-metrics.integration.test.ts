import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestApi, type TestApi } from '../api.fixture.ts';

let api: TestApi;
beforeAll(async () => {
  api = await createTestApi();
});
afterAll(() => api?.close());

/** Returns the value of a series in the exposition. */
async function sample(series: string): Promise<number | undefined> {
  const text = await (await api.get('/metrics', { accept: 'text/plain' })).text();
  const line = text.split('\n').find((one) => one.startsWith(series));
  return line === undefined ? undefined : Number(line.split(' ').at(-1));
}

/** Returns the process ids of this process's inference children. */
function inferenceChildren(): number[] {
  const read = (pid: string, file: string) => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, 'utf8');
    } catch {
      return '';
    }
  };
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && read(pid, 'cmdline').includes('libs/inference/process/worker.ts'))
    .filter((pid) => read(pid, 'status').includes(`\nPPid:\t${process.pid}\n`))
    .map(Number);
}

describe('metrics', () => {
  it('count live answers that could not be stored', async () => {
    expect(await sample('tandem_overlay_writes_dropped_total')).toBe(0);
    await api.pool.query(`create function refuse() returns trigger language plpgsql as $$ begin raise 'no room'; end $$;
      create trigger refuse before insert on tandem.overlay for each row execute function refuse()`);
    expect(await (await api.get('/v1/predictions/repurchase/1')).json()).toMatchObject({ source: 'live' });
    await expect.poll(() => sample('tandem_overlay_writes_dropped_total')).toBe(1);
    expect(await sample('tandem_overlay_writes_dropped_total')).toBe(1);
  });

  it('give the number of needed workers, and no value while Postgres does not answer', async () => {
    const created = await createTestApi();
    const told = async () => {
      const text = await (await created.get('/metrics', { accept: 'text/plain' })).text();
      return /^tandem_desired_workers\{.*\} (\d+)$/m.exec(text)?.[1];
    };
    try {
      const started = await created.post('/v1/runs', { predictor: 'repurchase', scope: 'all' });
      expect(started.status).toBe(202);
      // The run is created but not yet split into chunks.
      // A scrape that takes too long has no number. Work is sampled every five seconds.
      await expect.poll(told).toBe('1');
    } finally {
      await created.close();
    }
    const away = await createTestApi();
    try {
      away.postgres.cut();
      expect(await (await away.get('/metrics', { accept: 'text/plain' })).text()).not.toMatch(
        /^tandem_desired_workers\{/m,
      );
    } finally {
      await away.close();
    }
  });

  it('give the seconds since the deadline of a run', async () => {
    const late = await createTestApi();
    try {
      await late.post('/v1/runs', { predictor: 'repurchase', scope: 'all' });
      await late.pool.query(`update tandem.runs set created_at = created_at - interval '62 minutes'`);
      const overdue = async () => {
        const text = await (await late.get('/metrics', { accept: 'text/plain' })).text();
        return Number(/^tandem_run_overdue_seconds\{predictor="repurchase".*\} (\S+)$/m.exec(text)?.[1] ?? 0);
      };
      await expect.poll(overdue).toBeGreaterThanOrEqual(120);
    } finally {
      await late.close();
    }
  });

  it('count replaced inference processes by reason', async () => {
    await api.get('/v1/predictions/repurchase/1');
    const series = 'tandem_inference_restarts_total{why="killed"';
    expect(await sample(series)).toBeUndefined();
    // The children of the other APIs may still be ending.
    await expect.poll(() => inferenceChildren().length).toBe(1);
    const [pid = 0] = inferenceChildren();
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => sample(series)).toBe(1);
  });
});
