/** Faults by SIGSTOP: a process pauses, and continues after its leases and the state of the service have changed. */
import { setTimeout as pause } from 'node:timers/promises';
import { type NamedFault, oneOf } from './fault.ts';

const STOPPED_MS = 10_000;

export const stoppedPrograms: readonly NamedFault[] = [
  {
    name: 'worker-stopped',
    what: 'SIGSTOP of a worker for ten times its lease',
    expected: 'its chunks are taken over; the fence rejects its late writes',
    run: ({ rig, random, fault }) => {
      const worker = oneOf(rig.workers, random);
      return fault(
        { name: `${worker.name} stopped` },
        {
          inject: async () => worker.signal('SIGSTOP'),
          hold: () => pause(STOPPED_MS),
          lift: async () => worker.signal('SIGCONT'),
        },
      );
    },
  },
  {
    name: 'api-stopped',
    what: 'SIGSTOP of an API for 5 s',
    expected: 'its calls wait; after it continues, new statements certify the delayed answers',
    run: ({ rig, random, fault }) => {
      const api = oneOf(rig.apis, random);
      return fault(
        { name: `${api.name} stopped`, mayHang: [api.name] },
        {
          inject: async () => api.signal('SIGSTOP'),
          hold: () => pause(STOPPED_MS / 2),
          lift: async () => api.signal('SIGCONT'),
        },
      );
    },
  },
];
