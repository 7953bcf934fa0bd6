/** `kill -9` of an API or a worker at each step of what it does, found by failpoints; the supervisor starts it again. */
import { setTimeout as pause } from 'node:timers/promises';
import { failpointNames } from '../plant/failpoints.ts';
import type { ArmedFailpoint } from '../rig/failpoint-control.ts';
import type { Stage } from '../rig/session.ts';
import type { SupervisedProgram } from '../rig/supervised-program.ts';
import { type NamedFault, NotMet, oneOf } from './fault.ts';

/** Schedules and whole loads are not part of the load; what ends a program is a fault of its own. */
const ELSEWHERE = /^schedule\.|^load\.|in_shutdown$/;
const OF_APIS = /^(event|run|live|read)\./;
/** A step that the load has not met by then is passed over, and said so. */
const MET_WITHIN_MS = 30_000;
/** Programs look at their orders every 20 ms while they have anything to do. */
const DISARMED_WITHIN_MS = 500;

const steps = failpointNames.filter((name) => !ELSEWHERE.test(name));

export const killedPrograms: readonly NamedFault[] = steps.map((step) => ({
  name: `killed-at-${step.replace('.', '-').replaceAll('_', '-')}`,
  what: `kill -9 at ${step}`,
  expected: OF_APIS.test(step)
    ? 'a client repeats its events and is told the version that they had; nothing else is noticed'
    : 'another worker goes on when the lease is over, and nothing is done twice',
  run: (stage) => killAt(stage, oneOf(OF_APIS.test(step) ? stage.rig.apis : stage.rig.workers, stage.random), step),
}));

export const killedInShutdown: readonly NamedFault[] = (['api', 'worker'] as const).map((kind) => ({
  name: `${kind}-killed-in-shutdown`,
  what: 'SIGTERM, and kill -9 when what was under way has ended and the connections are closed',
  expected: 'as a kill at any other moment',
  run: (stage) => {
    const program = oneOf(kind === 'api' ? stage.rig.apis : stage.rig.workers, stage.random);
    return killAt(stage, program, `${kind}.in_shutdown`, () => program.signal('SIGTERM'));
  },
}));

async function killAt({ fault }: Stage, program: SupervisedProgram, step: string, provoke = () => {}): Promise<void> {
  const starts = program.starts();
  await fault(
    { name: `${program.name} killed at ${step}` },
    {
      async inject() {
        const armed = program.failpoints.arm(step, 'kill9');
        provoke();
        try {
          const isMet = await armed.whenFired(1, MET_WITHIN_MS).then(
            () => true,
            () => wasMetAfterAll(armed),
          );
          if (!isMet) throw new NotMet(`${program.name} did not come to ${step} within ${MET_WITHIN_MS / 1_000} s`);
          await program.startedAgain(starts);
        } finally {
          armed.disarm();
        }
      },
      lift: () => program.ready(),
    },
  );
}

/** A program that was about to fire when time was over sees only then that it is not to: else it would die of no fault. */
async function wasMetAfterAll(armed: ArmedFailpoint): Promise<boolean> {
  armed.disarm();
  await pause(DISARMED_WITHIN_MS);
  return armed.fired() > 0;
}
