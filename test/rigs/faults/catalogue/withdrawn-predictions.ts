/**
 * Faults in which every API and every embedded reader loses Postgres around the acknowledgement of a rollback or an
 * abort, while reads continue. A process that last read before the withdrawal still knows the assignment from before.
 * Only the count of withdrawals in Redis stops it from serving withdrawn predictions as unverified. The cache may lose
 * that count meanwhile.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { COUNT } from '../../../e2e/counts.fixture.ts';
import { until } from '../../../e2e/until.fixture.ts';
import type { ToldRollout } from '../history.ts';
import type { Ops } from '../load/rollout-calls.ts';
import { isActive } from '../load/rollout-mover.ts';
import type { Stage } from '../rig/session.ts';
import { startRun } from '../rig/start-run.ts';
import { type NamedFault, NotMet } from './fault.ts';

/** The time for reads to find, and to store, predictions that are then withdrawn. */
const READ_MS = 700;
/** The time for which the others serve unverified answers before the withdrawal, which are legal until then. */
const BEFORE_MS = 300;
const HELD_MS = 2_000;
/** A version is loaded at the lowest priority, which takes long on a busy machine. */
const PREPARED_WITHIN_MS = 120_000;

interface Withdrawal {
  readonly name: string;
  readonly what: string;
  /** Makes something to withdraw, and returns the call that withdraws it. The call resolves to whether it was acknowledged. */
  prepare(stage: Stage, ops: Ops): Promise<() => Promise<boolean>>;
}

/** What happens to the cache after the withdrawal. */
type CacheLoss = 'flushed' | 'old';

const WITHDRAWALS: readonly Withdrawal[] = [
  { name: 'rollback', what: 'a rollback', prepare: prepareRollback },
  { name: 'abort', what: 'an abort', prepare: prepareAbort },
];

const LOSSES: readonly (readonly [CacheLoss | null, string])[] = [
  [null, ''],
  ['flushed', '; the cache is flushed meanwhile'],
  ['old', '; the cache restarts with its data from before meanwhile'],
];

export const withdrawnPredictions: readonly NamedFault[] = WITHDRAWALS.flatMap((withdrawal) =>
  LOSSES.map(([loss, how]) => ({
    name: `postgres-lost-around-${withdrawal.name}${loss === null ? '' : `-cache-${loss}`}`,
    what: `around ${withdrawal.what}, all readers but one API are cut off from Postgres before, and that API after; then Postgres stops right after another${how}`,
    expected: 'after the acknowledgement, nothing withdrawn is served, not even unverified',
    async run(stage: Stage) {
      await withdraw(stage, withdrawal, loss, cutOff);
      await withdraw(stage, withdrawal, loss, stop);
    },
  })),
);

/** A way to lose Postgres. */
interface Outage {
  before(): Promise<unknown>;
  after(): Promise<void>;
  end(): Promise<void>;
}

function cutOff({ rig }: Stage): Outage {
  const all = rig.proxies('postgres', [...rig.apis, ...rig.embedded]);
  const ofAsked = rig.proxies('postgres', rig.apis.slice(-1));
  return {
    async before() {
      for (const way of all) if (!ofAsked.includes(way)) await way.down();
      await pause(BEFORE_MS);
    },
    async after() {
      for (const way of ofAsked) await way.down();
    },
    async end() {
      for (const way of all) await way.heal();
    },
  };
}

function stop({ rig }: Stage): Outage {
  return {
    before: async () => {},
    after: () => rig.postgres.end('SIGQUIT'),
    async end() {
      await rig.postgres.start();
      await until('Postgres answers the application', () => rig.pool.query('select 1'));
    },
  };
}

async function withdraw(
  stage: Stage,
  { what, prepare }: Withdrawal,
  loss: CacheLoss | null,
  outageOf: (stage: Stage) => Outage,
): Promise<void> {
  const { rig, fault, operate } = stage;
  const outage = outageOf(stage);
  const asked = rig.apis.at(-1)?.name ?? '';
  const isAcknowledged = await operate(asked, async (ops) => {
    const act = await prepare(stage, ops).catch((error: unknown) => {
      throw new NotMet(`${what} could not be prepared: ${error}`);
    });
    if (loss === 'old') await rig.cache.keepCopy();
    let done = false;
    await fault(
      { name: `no API reaches Postgres around ${what}`, cutsPostgres: true },
      {
        async inject() {
          await outage.before();
          done = await act();
          await outage.after();
        },
        async hold() {
          if (loss === 'flushed') await rig.cache.flush();
          if (loss === 'old') await rig.cache.restartOld();
          await pause(HELD_MS);
        },
        lift: () => outage.end(),
      },
    );
    return done;
  });
  if (!isAcknowledged) throw new NotMet(`${what} was not acknowledged`);
}

/** Publishes a generation. */
async function prepareRollback({ rig }: Stage, ops: Ops): Promise<() => Promise<boolean>> {
  const { rollout } = await survey(ops);
  if (rollout) await ops.move(rollout, 'abort');
  const run = { predictor: COUNT, scope: 'all' };
  const { id } = await until('the run is taken', () => startRun(rig, run), PREPARED_WITHIN_MS);
  const isOver = { text: 'select from tandem.runs where id = $1 and finished_at is not null', values: [id] };
  await until('the run ends', async () => (await rig.pool.query(isOver)).rows.length > 0, PREPARED_WITHIN_MS);
  await pause(READ_MS);
  return async () => (await ops.rollBack()) !== undefined;
}

/** Waits until a rollout serves users. Starts a canary if there is no rollout. */
async function prepareAbort(_: Stage, ops: Ops): Promise<() => Promise<boolean>> {
  const { stable, rollout: active } = await survey(ops);
  if (!active) {
    // The version below is likely to be loaded already.
    const version = stable > 1 ? stable - 1 : 2;
    const plan = { kind: 'canary', version: String(version), steps: [50, 100], coverage: 'live' };
    await ops.start({ variant: 'candidate', version }, plan);
  }
  const serving = async () => {
    const { rollout } = await survey(ops);
    return rollout && rollout.state !== 'preparing' ? rollout : null;
  };
  const served = await until('the rollout serves users', serving, PREPARED_WITHIN_MS);
  await pause(READ_MS);
  return async () => (await ops.move(served, 'abort')) !== undefined;
}

/** Returns the stable version, and the rollout if it is active. */
async function survey(ops: Ops): Promise<{ readonly stable: number; readonly rollout: ToldRollout | null }> {
  const told = await until('an API reports the arms', () => ops.survey(), PREPARED_WITHIN_MS);
  return { stable: told.stable, rollout: told.rollout && isActive(told.rollout) ? told.rollout : null };
}
