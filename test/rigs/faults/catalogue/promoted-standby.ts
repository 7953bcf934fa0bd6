/**
 * Faults in which the primary is lost and a standby at another address is promoted. Connections must find the standby.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type PostgresPair, silence } from '../../../e2e/postgres-pair.fixture.ts';
import type { Stage } from '../rig/session.ts';
import type { RigPostgres } from '../rig/stores.ts';
import type { FaultHead } from '../rig/tell-fault.ts';
import { type NamedFault, NotMet } from './fault.ts';

const LOST_MS = 4_000;
/** The time for which the old primary stays silent after the new primary accepts writes. */
const SILENT_MS = 5_000;
const WITHOUT_LOSS = 'connections go to the other server; no acknowledged event is lost';

export const promotedStandby: readonly NamedFault[] = [
  {
    name: 'standby-promoted',
    needs: 'standby',
    what: 'the primary is killed, and its synchronous standby is promoted',
    expected: WITHOUT_LOSS,
    run: (stage) => failOver(stage, { changesHistory: true }, (pair) => pair.synchronise(), kill),
  },
  {
    name: 'standby-promoted-beside-silence',
    needs: 'standby',
    what: "the same, but the primary's machine stops answering: it neither refuses nor ends connections",
    expected: WITHOUT_LOSS,
    run: (stage) => failOver(stage, { changesHistory: true }, (pair) => pair.synchronise(), fallSilent),
  },
  {
    name: 'standby-promoted-losing-commits',
    needs: 'standby',
    what: `the primary is killed, and a standby is promoted that lacks the commits of the last ${LOST_MS / 1_000} s`,
    expected: 'versions of the lost history prove nothing; tokens of it are refused with 409',
    run: (stage) => failOver(stage, { losesHistory: true }, lag, kill),
  },
];

type Loss = (lost: RigPostgres) => Promise<{ end(): Promise<void> }>;

async function lag(pair: PostgresPair<RigPostgres>): Promise<void> {
  await pair.stopFollowing();
  await pause(LOST_MS);
}

const kill: Loss = async (lost) => {
  await lost.end('SIGQUIT');
  return { end: async () => {} };
};

const fallSilent: Loss = async (lost) => {
  const silent = await silence(lost);
  return {
    async end() {
      await pause(SILENT_MS);
      await silent.end();
    },
  };
};

async function failOver(
  { rig, fault }: Stage,
  head: Omit<FaultHead, 'name' | 'seed'>,
  prepare: (pair: PostgresPair<RigPostgres>) => Promise<void>,
  lose: Loss,
): Promise<void> {
  const { pair } = rig;
  if (!pair) throw new NotMet('this session has no standby: use --standby');
  await prepare(pair);
  const lost = pair.primary();
  let loss: Awaited<ReturnType<Loss>> | undefined;
  await fault(
    { name: 'failover to the other server', ...head },
    {
      async inject() {
        loss = await lose(lost);
        await pair.promote();
      },
      // The application's own sessions may wait for the silent server until their statements time out.
      lift: async () => {},
    },
  );
  await loss?.end();
  await pair.followAgain();
}
