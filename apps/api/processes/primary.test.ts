import cluster from 'node:cluster';
import { createLog } from '@tandem/telemetry/log';
import { expect, it } from 'vitest';
import { Primary } from './primary.ts';

it('if a process cannot be forked, its start fails and the primary continues', async () => {
  // A machine without room for another process fails in the same way: an error event and no exit event.
  cluster.setupPrimary({ cwd: '/nowhere' });
  const log = createLog({ level: 'info', name: 'api', destination: { write: () => undefined } });
  const primary = new Primary({ processes: 2, environment: {}, log, killAfterMs: 1_000, exit: () => {} });
  await expect(primary.start()).rejects.toThrow(/^API process 1 did not start \(spawn .* ENOENT\)/);
});
