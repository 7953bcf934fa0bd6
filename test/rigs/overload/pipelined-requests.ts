/** Sends thousands of requests at once on one connection, and measures how much they slow other reads. */
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { getRequest, readAnswer } from './exchange.ts';
import { readCached } from './held-connections.ts';
import { LENIENT } from './slow-predictors.ts';
import { type Tally, tallyOf } from './tally.ts';

export interface FloodOptions {
  readonly port: number;
  /** The number of requests on each connection. */
  readonly requests: number;
  readonly ratePerSecond: number;
  readonly seconds: number;
}

export interface Flood {
  readonly alone: Tally;
  readonly beside: Tally;
  /** The users in the answers on one connection, in order. The requests are for users 1, 2, …. */
  readonly userIds: readonly string[];
  /** The end of that connection: `end` or the error. */
  readonly end: string;
  /** The number of answers on each connection with large answers. */
  readonly answers: readonly number[];
}

const EVERY_MS = 1_000;

export async function flood(options: FloodOptions): Promise<Flood> {
  const { port, requests, seconds } = options;
  const alone = tallyOf(await readCached(options));
  const reads = Array.from({ length: requests }, (_, i) => getRequest(`/v1/predictions/${LENIENT}/${i + 1}`));
  const read = await askAtOnce(port, reads.join(''));
  const large = getRequest('/openapi.json').repeat(requests);
  const reading = readCached(options);
  const floods: ReturnType<typeof askAtOnce>[] = [];
  for (let begun = 0; begun < seconds; begun++) {
    floods.push(askAtOnce(port, large));
    await pause(EVERY_MS);
  }
  const beside = tallyOf(await reading);
  const userIds = read.bodies.map((body) => /"userId":"(\d+)"/.exec(body)?.[1] ?? '?');
  const answers = (await Promise.all(floods)).map(({ bodies }) => bodies.length);
  return { alone, beside, userIds, end: read.end, answers };
}

/** Sends the whole text, and receives answers until the end. */
function askAtOnce(port: number, text: string): Promise<{ readonly bodies: readonly string[]; readonly end: string }> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const pieces: string[] = [];
    const finish = (end: string) => {
      resolve({ bodies: bodiesOf(pieces.join('')), end });
      socket.destroy();
    };
    socket.setEncoding('latin1').on('data', (piece: string) => pieces.push(piece));
    socket.once('end', () => finish('end')).once('error', ({ message }) => finish(message));
    socket.write(text);
  });
}

function bodiesOf(text: string): string[] {
  const bodies: string[] = [];
  for (let rest = text, answer = readAnswer(rest); answer; answer = readAnswer(rest)) {
    bodies.push(answer.body);
    rest = rest.slice(rest.indexOf('\r\n\r\n') + 4 + answer.body.length);
  }
  return bodies;
}
