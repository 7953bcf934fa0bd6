/** Sends the requests of a seed, several at a time, and judges each answer by the document. */
import fc from 'fast-check';
import { type Answer, openConnection } from '../exchange.ts';
import type { HostileService } from '../service.ts';
import { type ApiDocument, fetchDocument } from './document.ts';
import { answerFaults } from './judge.ts';
import { type FuzzRequest, requests } from './requests.ts';
import { startComparison } from './start-comparison.ts';

export interface FuzzOptions {
  readonly requests: number;
  readonly seed: number;
  /** The number of concurrent requests. */
  readonly lanes?: number;
  /** The ids of operations that get further requests, at most `MOST_FURTHER`, until one is answered with success. */
  readonly reach?: readonly string[];
}

export interface FuzzFinding {
  /** The number of requests that were sent before this one, further requests included. */
  readonly index: number;
  /** The request as it was sent. */
  readonly sent: string;
  readonly faults: readonly string[];
}

export interface FuzzReport {
  readonly seed: number;
  readonly sent: number;
  /** Maps an operation and a status, such as `readPrediction 200`, to the number of answers. */
  readonly answers: ReadonlyMap<string, number>;
  /** The operations of the document that did not answer with success. */
  readonly missed: readonly string[];
  readonly findings: readonly FuzzFinding[];
}

/** The time limit for one answer, in milliseconds. */
const PATIENCE_MS = 30_000;
/** The number of requests generated at once. All requests of a long run would not fit into memory. */
const BATCH = 500;
/** The most further requests per operation, and how many of them are generated at once. */
const MOST_FURTHER = 600;
const FURTHER_BATCH = 40;

export async function fuzz(service: HostileService, options: FuzzOptions): Promise<FuzzReport> {
  const { seed, lanes = 8, reach = [] } = options;
  const document = await fetchDocument(service.url);
  const any = requests(document);
  const known: KnownIds = { run: [service.runId], rollout: [await startComparison(service.pool)] };
  const sending: Sending = { service, document, known, lanes, sent: 0, answers: new Map(), findings: [] };
  for (let from = 0; from < options.requests; from += BATCH) {
    const numRuns = Math.min(BATCH, options.requests - from);
    await sendAll(sending, fc.sample(any, { seed: seed + from, numRuns }));
  }
  for (const id of reach) await reachOperation(sending, id, seed);
  const missed = document.operations.map(({ operationId }) => operationId).filter((id) => !hasSucceeded(sending, id));
  const { sent, answers, findings } = sending;
  return { seed, sent, answers, missed, findings };
}

/** What the requests of one call of `fuzz` share. */
interface Sending {
  readonly service: HostileService;
  readonly document: ApiDocument;
  readonly known: KnownIds;
  readonly lanes: number;
  readonly answers: Map<string, number>;
  readonly findings: FuzzFinding[];
  sent: number;
}

async function sendAll(sending: Sending, batch: readonly FuzzRequest[]): Promise<void> {
  const { service, document, known, answers, findings } = sending;
  const next = batch.values();
  const lane = async () => {
    for (const request of next) {
      const index = sending.sent++;
      const { text, answer, faults } = await tryOne(service, request, document, known);
      const key = `${request.operation.operationId} ${answer?.status}`;
      answers.set(key, (answers.get(key) ?? 0) + 1);
      if (faults.length > 0) findings.push({ index, sent: text.slice(0, 2_000), faults });
    }
  };
  await Promise.all(Array.from({ length: sending.lanes }, lane));
}

/**
 * Sends requests of one operation until one is answered with success, at most `MOST_FURTHER`. The success of a random
 * request depends on earlier requests and on the load, so a fixed number could be too few.
 */
async function reachOperation(sending: Sending, id: string, seed: number): Promise<void> {
  const { document } = sending;
  const operations = document.operations.filter(({ operationId }) => operationId === id);
  const any = requests({ ...document, operations });
  for (let from = 0; from < MOST_FURTHER && !hasSucceeded(sending, id); from += FURTHER_BATCH) {
    await sendAll(sending, fc.sample(any, { seed: seed + from, numRuns: FURTHER_BATCH }));
  }
}

function hasSucceeded({ answers }: Sending, id: string): boolean {
  return [200, 201, 202].some((status) => answers.has(`${id} ${status}`));
}

async function tryOne(
  { port, contextToken }: HostileService,
  request: FuzzRequest,
  document: ApiDocument,
  known: KnownIds,
): Promise<{ readonly text: string; readonly answer: Answer | undefined; readonly faults: readonly string[] }> {
  const text = textOf(request, contextToken, known);
  const connection = await openConnection(port);
  try {
    await connection.send([Buffer.from(text, 'latin1')]);
    const answer = await connection.answer(request.method, PATIENCE_MS);
    learn(answer, known);
    return { text, answer, faults: answerFaults(request, answer, document) };
  } catch (error) {
    return { text, answer: undefined, faults: [String(error)] };
  } finally {
    connection.close();
  }
}

/** The known ids of runs and rollouts. */
type KnownIds = Readonly<Record<'run' | 'rollout', string[]>>;

/** Adds the ids in an answer, so that later requests can use them. */
function learn(answer: Answer | undefined, known: KnownIds): void {
  const [, kind, id] = /^\/v1\/(run|rollout)s\/([0-9a-f-]{36})$/.exec(answer?.headers.location ?? '') ?? [];
  if (id === undefined) return;
  const ids = known[kind as keyof KnownIds];
  if (!ids.includes(id)) ids.push(id);
}

const NO_ID = '0199b5d4-6f0e-7c3a-9d6e-0d4a6f3f2b11';

/** Returns the bytes of a request to a port without runs and rollouts, one character per byte. */
export function fuzzText(request: FuzzRequest): string {
  return textOf(request, 'none.1', { run: [NO_ID], rollout: [NO_ID] });
}

/** Returns the bytes, one character per byte. Invalid characters are removed, because the corpus tests framing. */
function textOf({ method, target, headers, body }: FuzzRequest, token: string, known: KnownIds): string {
  const path = target.replace(/\{(run|rollout):(\d+)\}/g, (_, kind: keyof KnownIds, n) => {
    return known[kind][Number(n) % known[kind].length] ?? '';
  });
  const content = body === null ? '' : latin1(body);
  const fields: (readonly [string, string])[] = [
    ['host', 'localhost'],
    ...headers,
    ...(body === null && method === 'GET' ? [] : [['content-length', String(content.length)] as const]),
  ];
  const lines = fields.map(
    ([name, value]) =>
      `${name}: ${latin1(value.replaceAll('{token}', token)).replace(/[^\x20-\x7e\x80-\xff]/g, '')}\r\n`,
  );
  return `${method} ${path.replace(/[^\x21-\x7e]/g, '')} HTTP/1.1\r\n${lines.join('')}\r\n${content}`;
}

/** Returns the UTF-8 bytes, one character per byte. */
function latin1(text: string): string {
  return Buffer.from(text.toWellFormed()).toString('latin1');
}
