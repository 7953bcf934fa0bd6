import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { tallyOf } from './tally.ts';

const folder = mkdtempSync(join(tmpdir(), 'tandem-tally-'));
afterAll(() => rmSync(folder, { recursive: true }));

const passed = { fullName: 'a stored answer is found', status: 'passed' };
const file = (status: string, assertionResults: readonly object[], message = '') => {
  return { name: '/checkout/libs/a.test.ts', status, message, assertionResults };
};

function tally(testResults: readonly object[], endedWell: boolean) {
  const path = join(folder, 'report.json');
  writeFileSync(path, JSON.stringify({ testResults }));
  return tallyOf(path, '/checkout', endedWell, 'x.log');
}

describe('the tally of a test run', () => {
  it('counts what passed', () => {
    expect(tally([file('passed', [passed, passed])], true)).toEqual({ passed: 2, failed: 0, failures: [] });
  });

  it('names each failed test, with the first line of the reason', () => {
    const failed = { fullName: 'it is kept', status: 'failed', failureMessages: ['expected 1 to be 2\n  at x'] };
    const { passed: good, failures } = tally([file('failed', [passed, failed])], false);
    expect([good, failures]).toEqual([1, ['libs/a.test.ts: it is kept: expected 1 to be 2']]);
  });

  it('counts a skipped test as failed', () => {
    const { failures } = tally([file('passed', [passed, { fullName: 'it waits', status: 'skipped' }])], true);
    expect(failures).toEqual(['libs/a.test.ts: it waits: skipped']);
  });

  it('counts a file that could not be prepared as one failure', () => {
    const { failures } = tally([file('failed', [], 'connect ECONNREFUSED\n  at y')], false);
    expect(failures).toEqual(['libs/a.test.ts: connect ECONNREFUSED']);
  });

  it('counts an error outside of tests, a run without tests and a missing report as failures', () => {
    expect(tally([file('passed', [passed])], false).failed).toBe(1);
    expect(tally([], true).failed).toBe(1);
    expect(tallyOf(join(folder, 'none.json'), '/checkout', true, 'x.log').failed).toBe(1);
  });
});
