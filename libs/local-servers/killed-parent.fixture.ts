/** Starts a server from another process, and kills that process with its whole group, as `kill -9` or Ctrl-C would. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Orphan {
  readonly pid: number;
  readonly url: string;
}

export async function leaveOrphan(
  kind: 'postgres' | 'redis',
  folders: string[],
  signal: NodeJS.Signals,
): Promise<Orphan> {
  const script = fileURLToPath(new URL('./start-and-wait.fixture.ts', import.meta.url));
  const parent = spawn(process.execPath, [script, kind, ...folders], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line]: string[] = await once(createInterface({ input: parent.stdout }), 'line');
  const orphan: Orphan = JSON.parse(line ?? '');
  process.kill(-(parent.pid ?? 0), signal);
  await once(parent, 'exit');
  return orphan;
}
