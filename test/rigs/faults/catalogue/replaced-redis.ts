/**
 * Faults of a replicated Redis: a primary is lost, loses its data, or hangs until its replica replaces it; slots move.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { RedisServer } from '@tandem/testing/redis-servers';
import type { ReplicatedForm, ReplicatedRedis } from '../rig/replicated-redis.ts';
import type { Stage } from '../rig/session.ts';
import { type NamedFault, NotMet, oneOf } from './fault.ts';

/** Longer than the silence after which a primary is replaced. */
const LOST_MS = 6_000;
const MOVED_SLOTS = 200;

export const replacedRedis: readonly NamedFault[] = (['cluster', 'sentinel'] as const).flatMap(faultsOf);

function faultsOf(form: ReplicatedForm): readonly NamedFault[] {
  const common = {
    needs: form,
    expected: "reads of the primary's data are answered from Postgres' rows until its replica takes over",
  };
  const faults: NamedFault[] = [
    {
      ...common,
      name: `${form}-primary-killed`,
      what: 'a primary is killed, its replica takes its place, and it returns without data',
      run: (stage) =>
        withPrimary(stage, 'primary of Redis killed', (primary) => ({
          inject: () => primary.kill(),
          lift: () => primary.restart(),
        })),
    },
    {
      ...common,
      name: `${form}-primary-stopped`,
      what: 'SIGSTOP of a primary until its replica has taken its place; then it returns and acts as a primary',
      run: (stage) =>
        withPrimary(stage, 'primary of Redis stopped', ({ pid }) => ({
          inject: async () => void process.kill(pid, 'SIGSTOP'),
          lift: async () => void process.kill(pid, 'SIGCONT'),
        })),
    },
    {
      ...common,
      name: `${form}-primary-flushed`,
      what: 'FLUSHALL on one primary, with its part of the queue, if the queue is there',
      run: (stage) =>
        withPrimary(stage, 'primary of Redis flushed', (primary) => ({
          inject: async () => void (await primary.send('flushall')),
          lift: async () => {},
        })),
    },
  ];
  if (form === 'sentinel') return faults;
  return [
    ...faults,
    { ...common, name: 'cluster-slots-moved', what: 'slots move from one primary to another', run: moveSlots },
  ];
}

type Acts = (primary: RedisServer) => { inject(): Promise<void>; lift(): Promise<void> };

async function withPrimary({ rig, random, fault }: Stage, name: string, acts: Acts): Promise<void> {
  const redis = replicatedOf(rig);
  await redis.whenWhole();
  const primary = oneOf(await redis.primaries(), random);
  await fault({ name }, { ...acts(primary), hold: () => pause(LOST_MS) });
  await redis.whenWhole();
}

async function moveSlots({ rig, random, fault }: Stage): Promise<void> {
  const redis = replicatedOf(rig);
  await redis.whenWhole();
  const primaries = await redis.primaries();
  const from = oneOf(primaries, random);
  const to = oneOf(
    primaries.filter((one) => one !== from),
    random,
  );
  const held = await slotsOf(from);
  const slots = held.slice(0, MOVED_SLOTS);
  if (slots.length === 0) throw new NotMet('the primary holds no slots');
  await fault(
    { name: 'slots of Redis move' },
    { inject: () => redis.moveSlots(from, to, slots), lift: async () => {} },
  );
}

async function slotsOf(server: RedisServer): Promise<readonly number[]> {
  const ranges = (await server.send('cluster', 'SLOTS')) as [number, number, [Buffer, number]][];
  const own = ranges.filter(([, , [, port]]) => port === server.port);
  const slots = own.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
  return slots;
}

function replicatedOf({ replicated }: Stage['rig']): ReplicatedRedis {
  if (!replicated) throw new NotMet('Redis has no replicas here');
  return replicated;
}
