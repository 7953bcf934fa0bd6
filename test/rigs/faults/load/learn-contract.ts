/** Reads the status codes that the service declares for each route, from its OpenAPI document. */
import { type Contract, monotonicNow } from '../history.ts';

/** Deadlines of calls: the deadline of the slowest store, with an allowance for a busy machine. */
export const DEADLINES: Contract['deadlines'] = {
  read: 6_000,
  event: 10_000,
  run: 15_000,
  rollback: 15_000,
  rollout: 15_000,
  survey: 20_000,
  generations: 15_000,
  // This call sends several requests to each store, one after another.
  erase: 30_000,
  readmit: 15_000,
};

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses?: object }>>>>;
}

/** Reads the contract. Rejects if the service does not serve the document. */
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
