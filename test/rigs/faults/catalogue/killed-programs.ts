/** `kill -9` of an API or a worker at each step of its work, by failpoints. The supervisor starts it again. */
import { setTimeout as pause } from 'node:timers/promises';
import { failpointNames } from '../plant/failpoints.ts';
import type { ArmedFailpoint } from '../rig/failpoint-control.ts';
import type { Stage } from '../rig/session.ts';
import type { SupervisedProgram } from '../rig/supervised-program.ts';
import { type NamedFault, NotMet, oneOf } from './fault.ts';

/** Steps without a kill: the load has no schedules and no whole loads, and a shutdown is a separate fault. */
const ELSEWHERE = /^schedule\.|^load\.|in_shutdown$/;
const OF_APIS = /^(event|run|live|read)\./;
/** A step that the load does not reach within this time is reported as not met. */
const MET_WITHIN_MS = 30_000;
/** Busy programs check every 20 ms which failpoints are armed. */
const DISARMED_WITHIN_MS = 500;

const steps = failpointNames.filter((name) => !ELSEWHERE.test(name));

export const killedPrograms: readonly NamedFault[] = steps.map((step) => ({
  name: `killed-at-${step.replace('.', '-').replaceAll('_', '-')}`,
  what: `kill -9 at ${step}`,
  expected: OF_APIS.test(step)
    ? 'a client repeats its events and gets the same versions; no other effect'
    : 'another worker takes over when the lease ends, and no work is done twice',
  run: (stage) => killAt(stage, oneOf(OF_APIS.test(step) ? stage.rig.apis : stage.rig.workers, stage.random), step),
}));

export const killedInShutdown: readonly NamedFault[] = (['api', 'worker'] as const).map((kind) => ({
  name: `${kind}-killed-in-shutdown`,
  what: 'SIGTERM, then kill -9 after the work in progress has ended and the connections are closed',
  expected: 'the same as after a kill at any other moment',
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
          if (!isMet) throw new NotMet(`${program.name} did not reach ${step} within ${MET_WITHIN_MS / 1_000} s`);
          await program.startedAgain(starts);
        } finally {
          armed.disarm();
        }
      },
      lift: () => program.ready(),
    },
  );
}

/** Checks once more after the time limit: a program that fired just then must count as killed by this fault. */
async function wasMetAfterAll(armed: ArmedFailpoint): Promise<boolean> {
  armed.disarm();
  await pause(DISARMED_WITHIN_MS);
  return armed.fired() > 0;
}
