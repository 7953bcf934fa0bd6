/**
 * Runs each unmarked shell block of docs/ in the folder of a `tandem up --example`, in the order of the pages. `npx
 * tandem` is this project's command. quick-start.md uses `npm start`, which starts the same.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findFreePort } from '@tandem/local-servers/ports';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CliProcess, MAIN, runCli, startCli } from '../../apps/cli/cli.fixture.ts';
import { documentedBlocks, placeOf } from './documented-blocks.ts';

const run = promisify(execFile);
const blocks = documentedBlocks().filter(
  ({ language, mark, page }) =>
    language === 'sh' && mark === null && page !== 'README.md' && !page.startsWith('docs/reference/'),
);
/** Makes curl fail if the status is an error. */
const PRELUDE = `
  curl() { command curl --fail-with-body --silent --show-error "$@"; }
  tandem() { "$NODE" "$MAIN" "$@"; }
  npx() { shift; tandem "$@"; }
`;

let folder: string;
let port: number;
let service: CliProcess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tandem-docs-'));
  port = await findFreePort();
  const place = { cwd: folder, env: {} };
  service = startCli(['up', '--example', '--port', String(port)], place);
  await service.waitFor(/Ctrl-C stops everything/);
  // A second generation, which pages compare with the first.
  const args = ['run', 'start', 'repurchase', '--follow', '--url', `http://127.0.0.1:${port}`];
  expect(await runCli(args, place)).toMatchObject({ code: 0 });
}, 240_000);

afterAll(async () => {
  service?.kill('SIGTERM');
  await service?.ended;
  if (folder) await rm(folder, { recursive: true, force: true });
});

it('has some', () => expect(blocks.length).toBeGreaterThan(10));

it.each(blocks.map((block) => [placeOf(block), block] as const))('%s runs', async (_, { code }) => {
  const { DATABASE_URL, REDIS_URL, PORT, ...inherited } = process.env;
  const env = { ...inherited, TANDEM_URL: `http://127.0.0.1:${port}`, NODE: process.execPath, MAIN };
  const here = code.replaceAll(/(127\.0\.0\.1|localhost):8080/g, `127.0.0.1:${port}`);
  await run('bash', ['-euo', 'pipefail', '-c', `${PRELUDE}\n${here}`], { cwd: folder, env, timeout: 120_000 });
});
