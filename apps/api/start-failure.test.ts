import { readEnvironment } from '@tandem/config/environment/environment';
import { database, log } from '@tandem/config/environment/environment-sections';
import { TandemError } from '@tandem/freshness/errors';
import { describe, expect, it } from 'vitest';
import { describeStartFailure } from './start-failure.ts';

describe('describeStartFailure', () => {
  it('reports each error of the environment in one line, with the remedy', () => {
    let thrown: unknown;
    try {
      readEnvironment({ LOG_LEVEL: 'loud', DATABASE_URL: 'postgres://h/d' }, { database, log });
    } catch (error) {
      thrown = error;
    }
    expect(describeStartFailure(thrown)).toEqual([
      'tandem: LOG_LEVEL is "loud", not one of debug, info, warn, error; write one of these, or unset it',
    ]);
  });

  it('reports any other failure in one line', () => {
    const remedy = { remedy: 'run tandem migrate' };
    expect(describeStartFailure(new TandemError('unavailable', 'No answer.', remedy))).toEqual([
      'tandem: No answer.; run tandem migrate',
    ]);
    expect(describeStartFailure(new Error('one\n  two'))).toEqual(['tandem: one two']);
    expect(describeStartFailure('text')).toEqual(['tandem: text']);
  });
});
