import { expect, it } from 'vitest';
import { machineMemoryMb, sharedBuffersMb } from './postgres-memory.ts';

it('gives Postgres a sixteenth of the memory, at least its default and at most 1 GB', () => {
  expect([1_024, 2_048, 4_096, 8_192, 24_576, 1_048_576].map(sharedBuffersMb)).toEqual([
    128, 128, 256, 512, 1_024, 1_024,
  ]);
});

it('knows the memory of this machine', () => {
  expect(sharedBuffersMb(machineMemoryMb())).toBeGreaterThanOrEqual(128);
  expect(machineMemoryMb()).toBeLessThan(2 ** 30);
});
