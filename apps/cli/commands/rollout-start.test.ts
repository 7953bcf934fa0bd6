import { describe, expect, it } from 'vitest';
import { run } from '../program.fixture.ts';

describe('tandem rollout start', () => {
  it.each([
    ['', 'which model version?'],
    ['2 --shadow --steps 5,100', '--steps says nothing of a shadow'],
    ['2 --shadow --min-users 50', '--min-users says nothing of a shadow'],
    ['2 --shadow --psi off', '--psi says nothing of a shadow'],
    ['2 --outcome-window 2d', '--outcome-window has no --outcome'],
    ['2 --share 0.5', '--share says nothing of a canary'],
    ['2 --max-per-second 5', '--max-per-second says nothing of a canary'],
    ['--arm b=2:50 --shadow', '--shadow says nothing of an A/B test'],
    ['--arm b=2:50 --steps 100', '--steps says nothing of an A/B test'],
    ['3 --arm b=2:50', 'an A/B test has its model versions in --arm'],
  ])('%s is refused before anything is asked: it would have no effect', async (options, problem) => {
    const { code, out, err } = await run(`rollout start repurchase ${options}`);
    expect([code, out, err.split('\n')[0]]).toEqual([2, '', `tandem: ${problem}`]);
  });

  it.each(['--arm b=2', '--arm Stable=2:50', '--steps 5,x', '--share much', '--min-users -', '--psi no'])(
    '%s is refused with how it is written',
    async (options) => {
      expect(await run(`rollout start repurchase 2 ${options}`)).toMatchObject({ code: 2, out: '' });
    },
  );
});
