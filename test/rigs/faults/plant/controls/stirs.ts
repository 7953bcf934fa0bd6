/** Actions on the deployment during a control. Each call is one round, and the next round follows at once. */
import { setTimeout as pause } from 'node:timers/promises';
import { COUNT } from '../../../../e2e/counts.fixture.ts';
import { until } from '../../../../e2e/until.fixture.ts';
import type { NamedFault } from '../../catalogue/fault.ts';
import { monotonicNow } from '../../history.ts';
import { inTransaction } from '../../load/shared-row-writers.ts';
import type { Stage } from '../../rig/session.ts';
import { startRun } from '../../rig/start-run.ts';

/** The delay of each chunk: a run of ten chunks takes some seconds. */
const SLOW_CHUNK_MS = 500;

/** Deletes the hints, with the versions in them. */
export async function evictHints({ rig, fault }: Stage): Promise<void> {
  await fault(
    { name: 'hints evicted' },
    {
      inject: () =>
        rig.cache.with(async (redis) => {
          const keys = await redis.keys('tandem:h:*');
          if (keys.length > 0) await redis.unlink(...keys);
        }),
      lift: async () => {},
    },
  );
  await pause(2_000);
}

export async function flushCache({ rig, fault }: Stage): Promise<void> {
  await fault({ name: 'cache flushed' }, { inject: () => rig.cache.flush(), lift: async () => {} });
  await pause(2_000);
}

export async function failHints({ rig }: Stage): Promise<void> {
  for (const { failpoints } of rig.apis) {
    failpoints.disarmAll();
    failpoints.arm('event.at_hint', 'throw', { every: 3, times: 1_000_000 });
  }
  await pause(5_000);
}

/** Delays the answer of every other certificate, so that the certificate is old when it arrives. */
export async function delayCertificates({ rig, fault }: Stage): Promise<void> {
  await fault(
    { name: 'certificates are slow' },
    {
      async inject() {
        const often = { ms: 180, every: 2, times: 1_000_000 };
        for (const { failpoints } of rig.apis) failpoints.arm('read.certificate_arrived', 'pause', often);
      },
      hold: () => pause(8_000),
      async lift() {
        for (const { failpoints } of rig.apis) failpoints.disarmAll();
      },
    },
  );
}

/** Slows re-scorings down, so that events come between their reading of features and their end. */
export async function slowRescorings({ rig }: Stage): Promise<void> {
  for (const { failpoints } of rig.workers) {
    failpoints.disarmAll();
    failpoints.arm('live.before_infer', 'pause', { ms: 1_500, times: 1_000_000 });
  }
  await pause(5_000);
}

export async function rollBack({ rig, operate }: Stage): Promise<void> {
  await pause(2_500);
  await operate(rig.apis[0]?.name ?? '', (ops) => ops.rollBack());
}

export async function restoreBackup({ rig, fault }: Stage): Promise<void> {
  await pause(2_000);
  await fault({ name: 'Postgres stopped for a backup' }, { inject: () => rig.postgres.backUp(), lift: restored(rig) });
  await pause(10_000);
  await fault(
    { name: 'Postgres restored from a backup', losesHistory: true },
    {
      async inject() {
        await rig.postgres.restore();
        await rig.rotateHistory();
      },
      lift: restored(rig),
    },
  );
  await pause(3_000);
}

/**
 * Injects the fault during a run. At the start of the fault the run is planned and has no committed chunks. It ends
 * before the restore.
 */
export async function underRun(stage: Stage, fault: NamedFault): Promise<void> {
  const { rig } = stage;
  const setPace = (ms: number) => {
    for (const { failpoints } of rig.workers) {
      failpoints.disarmAll();
      if (ms > 0) failpoints.arm('batch.before_commit', 'pause', { ms, times: 1_000_000 });
    }
  };
  setPace(SLOW_CHUNK_MS);
  const { id } = await until('the run is taken', () => startRun(rig, { predictor: COUNT, scope: 'all' }));
  const isAt = (state: string) => async () => {
    const text = `select from tandem.runs where id = $1 and ${state}`;
    return (await rig.pool.query({ text, values: [id] })).rows.length > 0;
  };
  await until('the run is planned', isAt(`state = 'running'`));
  const ended = until('the run ends', isAt('finished_at is not null')).finally(() => setPace(0));
  await Promise.all([fault.run(stage), ended]);
}

function restored({ pool }: Stage['rig']): () => Promise<void> {
  return async () => void (await pool.query('select 1'));
}

/** Drops the trigger of the watched table, as a careless migration of the application might. */
export async function dropTrigger({ rig }: Stage): Promise<void> {
  await rig.pool.query('drop trigger if exists tandem_watch_update on counts');
  await pause(500);
}

/** Stops Postgres at once after a session that replays changes has committed a change of a watched row. */
export async function crashAfterChange({ rig, sink, fault, random }: Stage): Promise<void> {
  const at = monotonicNow();
  const changes = await inTransaction(rig.pool, true, async (client) => {
    const { rows } = await client.query<{ userId: string; score: number }>({
      text: `update counts set changes = changes + 1 where user_id = $1
        returning user_id::text as "userId", changes as score`,
      values: [1 + Math.floor(random() * 60)],
    });
    return rows;
  });
  sink.write({ kind: 'table change', at, ended: monotonicNow(), changes });
  await fault(
    { name: 'Postgres stopped at once', cutsPostgres: true },
    { inject: () => rig.postgres.restartImmediately(), lift: async () => void (await rig.pool.query('select 1')) },
  );
  await pause(3_000);
}

export async function deleteContexts({ rig, random }: Stage): Promise<void> {
  const user = String(1 + Math.floor(random() * 60));
  await rig.pool.query({ text: 'delete from tandem.user_contexts where user_id = $1', values: [user] });
  await pause(500);
}

export async function returnOld({ rig, fault }: Stage, isPostgresCut: boolean): Promise<void> {
  await rig.cache.keepCopy();
  await pause(3_000);
  const ways = isPostgresCut ? rig.proxies('postgres', rig.apis) : [];
  await fault(
    { name: 'the cache back from before erasures', ...(isPostgresCut ? { cutsPostgres: true } : {}) },
    {
      async inject() {
        for (const way of ways) way.add({ type: 'timeout', timeout: 0 });
        await rig.cache.restartOld();
      },
      hold: () => pause(3_000),
      async lift() {
        for (const way of ways) await way.heal();
      },
    },
  );
  await pause(3_000);
}
