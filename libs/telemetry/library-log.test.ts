import { expect, it } from 'vitest';
import { createLibraryLog, silentLog } from './log.ts';

it('writes events that need attention as warnings, and normal operation as information', () => {
  const written: string[] = [];
  const log = createLibraryLog({
    ...silentLog,
    info: (event) => written.push(`info ${event}`),
    warn: (event) => written.push(`warn ${event}`),
  });
  for (const event of ['online_store.connected', 'online_store.lost', 'inference.process_ended']) log(event, {});
  expect(written).toEqual(['info online_store.connected', 'warn online_store.lost', 'warn inference.process_ended']);
});
