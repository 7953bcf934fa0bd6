/**
 * Sends hostile requests to a port with only a few paths, and judges the answers by the rules of all ports. Each request is
 * answered with a status that the port declares. No answer shows internals of the service.
 */
import type { HostileRequest } from './corpus.ts';
import { type Answer, openConnection } from './exchange.ts';
import type { Port } from './ports.ts';
import { type Piece, render } from './render.ts';
import { methodOf, spokenMs } from './replay.ts';
import { showsInsides } from './verdict.ts';

/** The declared statuses. OPTIONS gets 204. A request that the parser rejects gets 400, 408, 413 or 431. */
const DECLARED: ReadonlySet<number> = new Set([200, 204, 400, 403, 404, 405, 406, 408, 413, 431]);
/** Placeholders for the ids in requests, because these ports have no runs, users or predictions. */
const FACTS = { runId: '0199b5d4-6f0e-7c3a-9d6e-0d4a6f3f2b11', contextToken: 'none.1', etag: 'W/"none"' };

/** Sends a corpus file. Returns faults as sentences, or none if all answers are right. */
export async function probe(request: HostileRequest, port: Port): Promise<readonly string[]> {
  const { sent, times, withinMs } = request;
  const patience = withinMs + sent.reduce((sum, text) => sum + spokenMs(text), 0);
  const isSilent = request.answers.every(({ statuses }) => statuses.length === 0);
  const exchanges = times > 1 ? [repeated(sent[0] ?? '', times)] : sent.map(rendered);
  const { answers, error } = await exchange(exchanges, port, patience);
  const unanswered = answers.length === 0 && !isSilent ? ['the connection ended without an answer'] : [];
  return [...(error === null ? unanswered : [error]), ...answers.flatMap((answer) => portFaults(answer, port))];
}

/** Sends bytes unchanged. Returns faults as sentences. */
export async function probeBytes(bytes: Buffer, method: string, port: Port): Promise<readonly string[]> {
  const { answers, error } = await exchange([{ method, pieces: [bytes] }], port, 30_000);
  const unanswered = answers.length === 0 ? ['the connection ended without an answer'] : [];
  return [...(error === null ? unanswered : [error]), ...answers.flatMap((answer) => portFaults(answer, port))];
}

/** Returns faults if the process has ended or the port does not answer with 200. */
export async function aliveFaults({ port, program, paths, name }: Port): Promise<readonly string[]> {
  if (program.hasEnded()) return [`the process of ${name} has ended`];
  const statuses = await Promise.all(
    paths.map(async (path) => (await fetch(`http://127.0.0.1:${port}${path}`)).status),
  );
  return statuses.flatMap((status, i) => (status === 200 ? [] : [`${name} answers ${paths[i]} with ${status}`]));
}

interface Exchange {
  readonly method: string;
  readonly pieces: readonly Piece[];
}

const rendered = (text: string): Exchange => ({ method: methodOf(text), pieces: render(text, FACTS) });

function repeated(text: string, times: number): Exchange {
  const all = Array.from({ length: times }, (_, i) => render(text, { ...FACTS, number: i + 1 }));
  const bytes = all.flat().filter((piece) => typeof piece !== 'number');
  return { method: methodOf(text), pieces: [Buffer.concat(bytes)] };
}

/** Sends each request after the answer to the previous one, until the connection ends. */
async function exchange(exchanges: readonly Exchange[], { port }: Port, patienceMs: number) {
  const connection = await openConnection(port);
  const answers: Answer[] = [];
  try {
    for (const { method, pieces } of exchanges) {
      // Not awaited, because the service may reject a request while it is still being sent.
      void connection.send(pieces);
      const answer = await connection.answer(method, patienceMs);
      if (!answer) break;
      answers.push(answer);
    }
    return { answers, error: null };
  } catch (error) {
    return { answers, error: String(error).slice(0, 300) };
  } finally {
    connection.close();
  }
}

function portFaults(answer: Answer, { name }: Port): string[] {
  const { status, headers, body } = answer;
  const faults: string[] = [];
  if (!DECLARED.has(status)) faults.push(`answered ${status}: ${body.slice(0, 200)}`);
  if (showsInsides(answer)) faults.push(`shows its insides: ${body.slice(0, 200)}`);
  const type = name === 'worker health' ? 'text/plain' : 'application/problem+json';
  if (status >= 400 && !headers['content-type']?.startsWith(type)) faults.push(`${status} is not of type ${type}`);
  if (status >= 400 && headers['cache-control'] !== 'no-store') faults.push(`${status} may be stored by a cache`);
  return faults;
}
