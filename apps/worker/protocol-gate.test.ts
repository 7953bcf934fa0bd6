import { TandemError } from '@tandem/freshness/errors';
import { protocolUnknown } from '@tandem/freshness/protocol';
import { expect, test } from 'vitest';
import { createProtocolGate } from './protocol-gate.ts';

test('no work may begin while the protocol is unknown, and the log says so once', async () => {
  const lines: unknown[] = [];
  const note = (event: string, fields?: object) => void lines.push(fields ? [event, fields] : event);
  let answer: () => Promise<void> = async () => {};
  const { whyIdle, assertKnown } = createProtocolGate(() => answer(), { error: note, info: note });
  expect(await whyIdle()).toBeNull();
  assertKnown();
  answer = () => Promise.reject(protocolUnknown(2));
  for (let round = 0; round < 3; round++) expect(await whyIdle()).toMatchObject({ code: 'protocol_unknown' });
  // Without the database, the work itself fails and reports the error.
  answer = () => Promise.reject(new TandemError('unavailable', 'away'));
  expect(await whyIdle()).toBeNull();
  // No check has found a known number since.
  expect(assertKnown).toThrow(expect.objectContaining({ code: 'protocol_unknown' }));
  answer = async () => {};
  expect(await whyIdle()).toBeNull();
  assertKnown();
  const problem = 'The database follows freshness protocol 2; this release knows protocol 1 only.';
  expect(lines).toMatchObject([['protocol.unknown', { problem }], 'protocol.known']);
});
