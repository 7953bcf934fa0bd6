/** Which status codes the service declares for each of its routes, from the OpenAPI document that it serves. */
import { type Contract, monotonicNow } from '../history.ts';

/** As long as the slowest store's own deadline and what comes after it; the machine has much else to do. */
export const DEADLINES: Contract['deadlines'] = {
  read: 6_000,
  event: 10_000,
  run: 15_000,
  rollback: 15_000,
  rollout: 15_000,
  survey: 20_000,
  generations: 15_000,
  // It asks each store several times, one after another.
  erase: 30_000,
  readmit: 15_000,
};

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses?: object }>>>>;
}

/** Rejects where the document cannot be had. */
export async function learnContract(url: string, deadlines: Contract['deadlines'] = DEADLINES): Promise<Contract> {
  const at = monotonicNow();
  const answer = await fetch(`${url}/openapi.json`);
  if (!answer.ok) throw new Error(`${url}/openapi.json answers ${answer.status}`);
  const { paths } = (await answer.json()) as Document;
  const routes = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(
      ([method, { responses = {} }]) =>
        [`${method.toUpperCase()} ${path}`, Object.keys(responses).map(Number)] as const,
    ),
  );
  return { kind: 'contract', at, ended: monotonicNow(), routes: Object.fromEntries(routes), deadlines };
}
