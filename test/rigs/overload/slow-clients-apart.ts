/**
 * Slow clients in a process of their own. What thousands of sockets cost whoever holds them, when they come, when they are
 * counted and when all are closed at once, would be lateness of the readers beside them, and be taken for the service's.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { SlowClientsOrder } from './slow-clients-program.ts';

export interface SlowClientsApart {
  /** How many of them the service still holds. */
  held(): Promise<number>;
  end(): void;
}

/** Resolves when all have come. */
export async function openSlowClientsApart(order: SlowClientsOrder): Promise<SlowClientsApart> {
  const child = fork(fileURLToPath(new URL('./slow-clients-program.ts', import.meta.url)));
  const ask = (message: object) => {
    child.send(message);
    return answerOf(child);
  };
  await ask(order);
  return { held: () => ask({}), end: () => void child.kill('SIGKILL') };
}

function answerOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    const onExit = () => reject(new Error('the slow clients have ended'));
    child.once('exit', onExit);
    child.once('message', (held: number) => {
      child.off('exit', onExit);
      resolve(held);
    });
  });
}
