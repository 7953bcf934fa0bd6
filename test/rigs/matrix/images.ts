/** Provides images of servers and their versions. An image is local, fetched, or built (only Valkey). */
import { join } from 'node:path';
import { runCommand } from '@tandem/local-servers/run-command';
import { VALKEY } from './combinations.ts';

export interface ReadyImage {
  readonly name: string;
  /** The version that the program in the image reports, such as `7.0.15` or `Valkey 8.1.1`. The tag may differ. */
  readonly version: string;
}

/** Thrown if a combination cannot run on this machine. The message has the reason and the remedy. */
export class NotHere extends Error {}

const FETCHED_WITHIN_MS = 300_000;
const BUILT_WITHIN_MS = 600_000;
const BUILT_VALKEY = 'tandem-matrix/valkey:8';

const seen = new Map<string, Promise<ReadyImage>>();

/** Provides an image. Rejects with `NotHere` if that fails. The result is kept for later calls. */
export function provideImage(image: string, program: 'postgres' | 'redis-server'): Promise<ReadyImage> {
  const known = seen.get(image) ?? find(image, program);
  seen.set(image, known);
  return known;
}

async function find(image: string, program: 'postgres' | 'redis-server'): Promise<ReadyImage> {
  const engine = await docker(['version', '--format', '{{.Server.Version}}'], 20_000);
  if (engine.code !== 0) throw new NotHere('no container engine answers; start Docker');
  const name = await fetch(image);
  const said = await docker(['run', '--rm', '--entrypoint', program, name, '--version'], 60_000);
  const version = /(?:(Valkey) server v=|Redis server v=|PostgreSQL\) )([\d.]+)/.exec(said.stdout);
  if (!version) throw new NotHere(`${name} holds no ${program} that runs: ${lastLine(said.stderr)}`);
  return { name, version: [version[1], version[2]].filter(Boolean).join(' ') };
}

async function fetch(image: string): Promise<string> {
  if (await isHere(image)) return image;
  const pulled = await docker(['pull', '--quiet', image], FETCHED_WITHIN_MS);
  if (pulled.code === 0) return image;
  if (image !== VALKEY)
    throw new NotHere(`${image} is not on this machine and cannot be fetched: ${lastLine(pulled.stderr)}`);
  if (await isHere(BUILT_VALKEY)) return BUILT_VALKEY;
  const file = join(import.meta.dirname, 'valkey.Dockerfile');
  // A small folder as the build context, because the build needs no files.
  const built = await docker(['build', '--tag', BUILT_VALKEY, '--file', file, import.meta.dirname], BUILT_WITHIN_MS);
  if (built.code === 0) return BUILT_VALKEY;
  throw new NotHere(`${image} can neither be fetched nor built: ${lastLine(built.stderr || built.stdout)}`);
}

async function isHere(image: string): Promise<boolean> {
  return (await docker(['image', 'inspect', '--format', '{{.Id}}', image], 20_000)).code === 0;
}

function docker(args: readonly string[], timeoutMs: number) {
  return runCommand('docker', args, { timeoutMs });
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
