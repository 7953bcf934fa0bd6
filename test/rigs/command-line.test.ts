import { expect, test } from 'vitest';
import { anyNumber, type Exit, namedIn, readCommandLine, wholeNumber } from './command-line.ts';

const HELP = 'npm run rig -- [options]\n';
const OPTIONS = { only: { type: 'string', default: 'a' }, seed: { type: 'string', default: '1' } } as const;
const KNOWN = [{ name: 'a' }, { name: 'b' }];

class Exited extends Error {}

/** Reads a command line; if the process would end, returns its code and the first line of its output. */
function read(...args: string[]) {
  let exited: [code: number, line: string | undefined] | undefined;
  const exit: Exit = (code, text) => {
    exited = [code, text.split('\n')[0]];
    throw new Exited();
  };
  try {
    const check = ({ only, seed }: { only: string; seed: string }) => ({
      chosen: namedIn('only', only, KNOWN),
      seed: wholeNumber('seed', seed, 0, 9),
    });
    return readCommandLine(HELP, OPTIONS, check, { args, exit });
  } catch (error) {
    if (error instanceof Exited) return exited;
    throw error;
  }
}

test('options have their defaults, and names keep their order', () => {
  expect(read()).toEqual({ chosen: [{ name: 'a' }], seed: 1 });
  expect(read('--only', 'b,a', '--seed=3')).toEqual({ chosen: [{ name: 'b' }, { name: 'a' }], seed: 3 });
});

test('--help prints the help text and ends with 0', () => {
  expect(read('--help')).toEqual([0, 'npm run rig -- [options]']);
});

test('an unknown option or a wrong value ends with 2, and the message names it', () => {
  expect(read('--sed', '1')).toEqual([2, expect.stringContaining("Unknown option '--sed'")]);
  expect(read('--seed', '1.5')).toEqual([2, '--seed takes a whole number from 0 to 9, not "1.5"']);
  expect(read('--seed', '')).toEqual([2, '--seed takes a whole number from 0 to 9, not ""']);
  expect(read('--only', 'c')).toEqual([2, '--only names "c"; known are a, b']);
  expect(read('c')).toEqual([2, expect.stringContaining("Unexpected argument 'c'")]);
});

test('a number may have a fraction where the option takes one', () => {
  expect(anyNumber('seconds', '0.5', 0.5, 600)).toBe(0.5);
  expect(() => anyNumber('seconds', '0.4', 0.5, 600)).toThrow('--seconds takes a number from 0.5 to 600, not "0.4"');
  expect(() => anyNumber('seconds', 'x', 0.5, 600)).toThrow('not "x"');
});

test('any other error of the rig is not taken for one of the command line', () => {
  const fail = () => {
    throw new TypeError('of the rig');
  };
  expect(() => readCommandLine(HELP, OPTIONS, fail, { args: [] })).toThrow('of the rig');
});

test('arguments that are no options reach a rig that takes them', () => {
  const named = (_: object, names: readonly string[]) => names;
  expect(readCommandLine(HELP, {}, named, { args: ['one', 'two'], allowPositionals: true })).toEqual(['one', 'two']);
});
