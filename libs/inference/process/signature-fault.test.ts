import { expect, it } from 'vitest';
import { signatureFault } from './signature-fault.ts';

const tensor = (name: string, shape: (number | string)[] = ['N', 2]) => ({ name, type: 'float32', shape });
const reasonFor = (...inputs: ReturnType<typeof tensor>[]) =>
  signatureFault({ inputs, outputs: [tensor('score')] })?.reason;

it('accepts a signature that fits into a message', () => {
  expect(reasonFor(tensor('features'), tensor('größe'), tensor('deep', Array(16).fill(1)))).toBeUndefined();
});

it('rejects a signature that is too long to print, or has terminal control characters', () => {
  expect(reasonFor(tensor('features', Array(1_000_000).fill(1)))).toContain(
    'has 1000000 dimensions; the maximum is 16',
  );
  expect(reasonFor(tensor('x'.repeat(257)))).toContain('a name of 257 characters');
  expect(reasonFor(tensor('features', ['N\u001b[2J', 2]))).toContain('begins with "N\\u001b[2J"');
  expect(reasonFor(...Array(4_096).fill(tensor('x')))).toContain('4096 inputs and 1 outputs');
});
