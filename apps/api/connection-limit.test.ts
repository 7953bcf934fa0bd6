import { expect, it } from 'vitest';
import { connectionLimit, refusalPatience } from './connection-limit.ts';

const limitsOf = (files: string) =>
  `Limit                     Soft Limit           Hard Limit           Units\nMax open files            ${files.padEnd(20)} 1048576              files\n`;

it('leaves files for the stores and the children, and never exceeds the maximum', () => {
  expect(['1048576', '1024', '64', '20', 'unlimited'].map((files) => connectionLimit(1, limitsOf(files)))).toEqual([
    4_096, 917, 4, 4, 4_096,
  ]);
  expect(connectionLimit(1, '')).toBe(4_096);
  expect(connectionLimit(16, limitsOf('1024'))).toBe(842);
});

it('lets rejections wait for each other only if there are many connections', () => {
  expect([4, 200, 964, 4_096].map(refusalPatience)).toEqual([0, 0, undefined, undefined]);
});
