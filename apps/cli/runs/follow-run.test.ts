import { NO_ROWS } from '@tandem/prediction/runs/runs';
import { RUN_EXAMPLE } from '@tandem/wire/runs';
import { expect, test } from 'vitest';
import { throwUnlessDone } from './follow-run.ts';

const id = RUN_EXAMPLE.id;

test('the remedy of a failed run is a resume', () => {
  expect(() => throwUnlessDone({ ...RUN_EXAMPLE, state: 'failed', error: 'chunk 0 failed: broken' })).toThrow(
    expect.objectContaining({
      message: `run ${id} is failed: chunk 0 failed: broken`,
      remedy: `resume it: npx tandem run resume ${id}`,
    }),
  );
});

test('the remedy of a run whose generation was held back is the approval', () => {
  const error = 'held back: PSI of score is above 0.25; see `tandem generation report repurchase 17`';
  expect(() => throwUnlessDone({ ...RUN_EXAMPLE, state: 'failed', error })).toThrow(
    expect.objectContaining({
      remedy: 'if the change is intended, publish it: npx tandem generation approve repurchase 17',
    }),
  );
});

test('the remedy of a run without users is another run, because a resume scores no user either', () => {
  expect(() => throwUnlessDone({ ...RUN_EXAMPLE, state: 'failed', error: NO_ROWS })).toThrow(
    expect.objectContaining({
      message: expect.stringContaining('check the table that it reads'),
      remedy: 'start another run once the table has rows: npx tandem run start repurchase',
    }),
  );
});
