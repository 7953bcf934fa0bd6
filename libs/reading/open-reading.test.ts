import { expect, test } from 'vitest';
import { closeOpened, type Opened } from './open-reading.ts';

test('closes all opened parts in reverse, and rejects afterwards if a part failed to close', async () => {
  const closed: string[] = [];
  const failing = (name: string) => () => {
    closed.push(name);
    return Promise.reject(new Error(name));
  };
  const opened: Opened = [
    () => closed.push('pools'),
    failing('authority'),
    failing('counts'),
    () => closed.push('register'),
  ];
  await expect(closeOpened(opened)).rejects.toThrow('counts');
  expect(closed).toEqual(['register', 'counts', 'authority', 'pools']);
  await closeOpened(opened);
});
