/** Sends a corpus file to the service, and returns all differences from the expectations. */
import type { HostileRequest } from './corpus.ts';
import { type Answer, type Connection, openConnection } from './exchange.ts';
import { type Piece, render } from './render.ts';
import type { HostileService } from './service.ts';
import { answerFaults, lastAnswerFaults, orderFaults } from './verdict.ts';

/** The time within which a connection must close after its last answer. Idle connections are kept longer, for 5 s. */
const CLOSES_WITHIN_MS = 4_500;
/** The time limit for the next answer on a connection that stays open. */
const STAYS_WITHIN_MS = 10_000;

/** Sends a file. Returns faults as sentences, or none if all answers are right. */
export async function replay(request: HostileRequest, service: HostileService): Promise<readonly string[]> {
  const connection = await openConnection(service.port);
  try {
    const faults =
      request.times > 1 ? await repeat(request, service, connection) : await once(request, service, connection);
    if (request.connection !== null) faults.push(...(await connectionFaults(request.connection, connection)));
    return faults;
  } finally {
    connection.close();
  }
}

/** Sends each request after the previous answer. After the last request, waits for the remaining answers. */
async function once(request: HostileRequest, service: HostileService, connection: Connection): Promise<string[]> {
  const faults: string[] = [];
  const { sent, answers, withinMs } = request;
  let last: Answer | undefined;
  for (const [i, expected] of answers.entries()) {
    const text = sent[i];
    const method = methodOf(text ?? '');
    // Not awaited, because the service may reject a request while it is still being sent.
    if (text !== undefined) void connection.send(render(text, service));
    last = await connection.answer(method, withinMs + spokenMs(text ?? ''));
    faults.push(
      ...answerFaults(last, expected, method).map((fault) => (sent.length > 1 ? `answer ${i + 1}: ${fault}` : fault)),
    );
  }
  return [...faults, ...lastAnswerFaults(last, request)];
}

/** Sends all requests at once, like a pipelining client. Returns the first fault only. */
async function repeat(request: HostileRequest, service: HostileService, connection: Connection): Promise<string[]> {
  const { times, served, answers, withinMs } = request;
  const [text = ''] = request.sent;
  const expected = answers[0] ?? { statuses: [], problem: null };
  const rendered = Array.from({ length: times }, (_, i) => render(text, { ...service, number: i + 1 }));
  const sending = connection.send([Buffer.concat(rendered.flat().filter((piece) => typeof piece !== 'number'))]);
  const answered: Answer[] = [];
  while (answered.length < times) {
    const answer = await connection.answer(methodOf(text), withinMs);
    if (!answer) break;
    const faults = [
      ...answerFaults(answer, expected, methodOf(text)),
      ...orderFaults(answer, targetOf(rendered, answered.length), answered.at(-1)),
    ];
    answered.push(answer);
    if (faults.length > 0) return faults.map((fault) => `answer ${answered.length} of ${times}: ${fault}`);
  }
  if (answered.length < served) return [`${answered.length} of ${times} were answered, not ${served}`];
  if (connection.rest() > 0) return [`answer ${answered.length + 1} of ${times} is torn`];
  await sending;
  return lastAnswerFaults(answered.at(-1), request);
}

async function connectionFaults(expected: 'closes' | 'stays', connection: Connection): Promise<readonly string[]> {
  if (expected === 'closes') return (await connection.ends(CLOSES_WITHIN_MS)) ? [] : ['the connection stays open'];
  await connection.send([Buffer.from('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n')]);
  const answer = await connection.answer('GET', STAYS_WITHIN_MS);
  return answer?.status === 200 ? [] : [`the next request on the connection was answered with ${answer?.status}`];
}

function targetOf(rendered: readonly (readonly Piece[])[], at: number): string {
  return String(rendered[at]?.[0]).split(' ', 2)[1] ?? '';
}

export function methodOf(text: string): string {
  return text.slice(0, text.indexOf(' '));
}

/** Returns the milliseconds that the pauses in a text take. */
export function spokenMs(text: string): number {
  return [...text.matchAll(/\{\{pause (\d+)\}\}/g)].reduce((sum, [, ms]) => sum + Number(ms), 0);
}
