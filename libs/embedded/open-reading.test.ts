import { expect, test } from 'vitest';
import { closeOpened, type Opened } from './open-reading.ts';

test('closes all that was opened in reverse, and rejects afterwards if one of them failed to close', async () => {
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
