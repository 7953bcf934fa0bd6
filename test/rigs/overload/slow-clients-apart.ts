/**
 * Runs slow clients in a separate process. Thousands of sockets take CPU time to open, count and close. In the process
 * of the readers, this time would delay the readers and look like latency of the service.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { SlowClientsOrder } from './slow-clients-program.ts';

export interface SlowClientsApart {
  /** Returns how many of the connections the service still holds. */
  held(): Promise<number>;
  end(): void;
}

/** Opens the clients. Resolves when all are connected. */
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
