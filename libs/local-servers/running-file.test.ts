import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { announceRunning, findRunning } from './running-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-running-'));
  mkdirSync(join(folder, '.tandem'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const services = {
  apiUrl: 'http://127.0.0.1:8080',
  databaseUrl: 'postgres://u:secret@h/d',
  redisUrl: null,
  pepperId: '3f9c2b7e',
};
const file = () => join(folder, '.tandem', 'running.json');

test('other commands find the running services until they end', () => {
  expect(findRunning(folder)).toBeUndefined();
  const remove = announceRunning(join(folder, '.tandem'), services);
  expect(findRunning(folder)).toEqual(services);
  remove();
  expect(findRunning(folder)).toBeUndefined();
});

test('if servers run without an API, the API is null', () => {
  announceRunning(join(folder, '.tandem'), { ...services, apiUrl: null });
  expect(findRunning(folder)).toEqual({ ...services, apiUrl: null });
});

test('only the owner can read the file with its passwords', () => {
  announceRunning(join(folder, '.tandem'), services);
  expect(statSync(file()).mode & 0o777).toBe(0o600);
});

test('a file that a killed run left is ignored, and so is a malformed file', () => {
  announceRunning(join(folder, '.tandem'), services);
  const record = JSON.parse(readFileSync(file(), 'utf8'));
  writeFileSync(file(), JSON.stringify({ ...record, startedAt: 'earlier' }));
  expect(findRunning(folder)).toBeUndefined();
  writeFileSync(file(), '{"pid":');
  expect(findRunning(folder)).toBeUndefined();
});
