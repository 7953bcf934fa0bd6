import cluster from 'node:cluster';
import { createLog } from '@tandem/telemetry/log';
import { expect, it } from 'vitest';
import { createPrimary } from './primary.ts';

it('a process that cannot be forked is a failed start, not the end of the primary', async () => {
  // Where the machine has no room for another process, it fails in the same way: an error, and no exit.
  cluster.setupPrimary({ cwd: '/nowhere' });
  const log = createLog({ level: 'info', name: 'api', destination: { write: () => undefined } });
  const primary = createPrimary({ processes: 2, environment: {}, log, killAfterMs: 1_000, exit: () => {} });
  await expect(primary.start()).rejects.toThrow(/^API process 1 did not start \(spawn .* ENOENT\)/);
});
