/** Measures the capacity of a service: each connection has a reader that sends its next request after each answer. */
import { getRequest, openConnection } from './exchange.ts';
import type { OpenLoopResult, Outcome } from './open-loop.ts';

export interface ClosedLoopOptions {
  readonly port: number;
  readonly readers: number;
  readonly seconds: number;
  request(n: number): string;
}

export async function runClosedLoop({ port, readers, seconds, request }: ClosedLoopOptions): Promise<OpenLoopResult> {
  const outcomes: Outcome[] = [];
  const start = performance.now();
  let asked = 0;
  const read = () =>
    new Promise<void>((resolve) => {
      const connection = openConnection('127.0.0.1', port);
      const next = () => {
        const due = performance.now() - start;
        if (due >= seconds * 1e3) {
          connection.end();
          resolve();
          return;
        }
        connection.ask(request(asked++), (answer) => {
          outcomes.push({ due, ms: performance.now() - start - due, answer: answer ?? 'reset' });
          if (answer) next();
          else resolve();
        });
      };
      next();
    });
  await Promise.all(Array.from({ length: readers }, read));
  return { outcomes, seconds, lateMs: [0] };
}

/** Returns a function that makes requests for inferences, of one user after another. */
export function demandFrom(predictor: string, users: number): (n: number) => string {
  return (n) => getRequest(`/v1/predictions/${predictor}/${1 + (n % users)}`, { 'cache-control': 'no-cache' });
}
