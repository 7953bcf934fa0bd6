/** The time of day of one program jumps by an hour while it runs, and back: only Postgres' clock decides anything. */
import { setTimeout as pause } from 'node:timers/promises';
import { type NamedFault, oneOf } from './fault.ts';

const HOUR_MS = 3_600_000;
const HELD_MS = 10_000;

export const wrongClocks: readonly NamedFault[] = (['api', 'worker'] as const).flatMap((kind) =>
  ([1, -1] as const).map((hours) => ({
    name: `${kind}-clock-${hours > 0 ? 'ahead' : 'behind'}`,
    what: `the clock of one ${kind} is an hour ${hours > 0 ? 'ahead' : 'behind'} for ${HELD_MS / 1_000} s`,
    expected: 'nobody notices',
    run: ({ rig, random, fault }) => {
      const program = oneOf(kind === 'api' ? rig.apis : rig.workers, random);
      return fault(
        { name: `clock of ${program.name} ${hours > 0 ? 'ahead' : 'behind'}` },
        {
          inject: async () => program.setClock(hours * HOUR_MS),
          hold: () => pause(HELD_MS),
          lift: async () => program.setClock(0),
        },
      );
    },
  })),
);
