import { expect, it, vi } from 'vitest';
import { Turnstile } from './turnstile.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));

/** Passes work with these names, which ends when the test says so. */
function passAll(turnstile: Turnstile, names: readonly string[]) {
  const begun: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<string>>();
  const passing = names.map((name) => {
    const end = Promise.withResolvers<string>();
    ends.set(name, end);
    return turnstile.pass(() => {
      begun.push(name);
      return end.promise;
    });
  });
  return { begun, passing, end: (name: string) => ends.get(name)?.resolve(name), ends };
}

it('lets work begin in order, a few at once', async () => {
  const { begun, passing, end } = passAll(new Turnstile(() => 2, 60_000), ['1', '2', '3', '4']);
  await turn();
  expect(begun).toEqual(['1', '2']);
  end('2');
  await turn();
  expect(begun).toEqual(['1', '2', '3']);
  for (const name of ['1', '3', '4']) end(name);
  expect(await Promise.all(passing)).toEqual(['1', '2', '3', '4']);
});

it('lets more or less work run at once as the limit changes', async () => {
  let atOnce = 1;
  const { begun, passing, end } = passAll(new Turnstile(() => atOnce, 60_000), ['1', '2', '3', '4', '5']);
  await turn();
  expect(begun).toEqual(['1']);
  atOnce = 3;
  end('1');
  await turn();
  expect(begun).toEqual(['1', '2', '3', '4']);
  atOnce = 1;
  end('2');
  end('3');
  await turn();
  expect(begun).toEqual(['1', '2', '3', '4']);
  end('4');
  await turn();
  expect(begun).toEqual(['1', '2', '3', '4', '5']);
  end('5');
  await Promise.all(passing);
});

it('lets no later work begin before waiting work as the limit rises', async () => {
  let atOnce = 1;
  const turnstile = new Turnstile(() => atOnce, 60_000);
  const before = passAll(turnstile, ['1', '2']);
  atOnce = 3;
  const later = passAll(turnstile, ['3']);
  await turn();
  expect([...before.begun, ...later.begun]).toEqual(['1']);
  before.end('1');
  await turn();
  expect([...before.begun, ...later.begun]).toEqual(['1', '2', '3']);
  before.end('2');
  later.end('3');
});

it('lets the next begin after failed work, whose error it passes on', async () => {
  const { begun, passing, end, ends } = passAll(new Turnstile(() => 1, 60_000), ['1', '2']);
  ends.get('1')?.reject(new Error('failed'));
  await expect(passing[0]).rejects.toThrow('failed');
  await turn();
  expect(begun).toEqual(['1', '2']);
  end('2');
});

it('does not wait longer than a turn for work that has not ended', async () => {
  const { begun, end } = passAll(new Turnstile(() => 1, 10), ['1', '2', '3']);
  await vi.waitFor(() => expect(begun).toEqual(['1', '2', '3']), { timeout: 20_000 });
  for (const name of ['1', '2', '3']) end(name);
});
