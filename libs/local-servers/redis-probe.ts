/**
 * A few words of Redis' protocol, enough to see whether a server is ours and ready, and to shut one down. A full client
 * would reconnect and retry behind our back just when we want to know what is there.
 */
import { connect } from 'node:net';

const REPLY_WITHIN_MS = 1_000;

export interface RedisAddress {
  readonly port: number;
  readonly password: string;
}

/** `ready`, `loading` (it reads its data), `foreign` (another server, or another password), `silent`. */
export type RedisState = 'ready' | 'loading' | 'foreign' | 'silent';

export async function probeRedis(address: RedisAddress): Promise<RedisState> {
  const [login, answer] = await ask(address, 'PING');
  if (login === undefined) return 'silent';
  if (login.startsWith('-LOADING') || answer?.startsWith('-LOADING')) return 'loading';
  return login === '+OK' && answer === '+PONG' ? 'ready' : 'foreign';
}

/** Asks the server at this address, if it accepts our password, to write its data and end. */
export async function shutDownRedis(address: RedisAddress): Promise<void> {
  await ask(address, 'SHUTDOWN');
}

/** The reply lines to the login and to one command; fewer where the server is silent or hangs up. */
function ask({ port, password }: RedisAddress, command: string): Promise<string[]> {
  return new Promise((resolve) => {
    let received = '';
    const socket = connect({ host: '127.0.0.1', port });
    const lines = () => received.split('\r\n').slice(0, -1);
    const finish = () => {
      socket.destroy();
      resolve(lines());
    };
    socket.setTimeout(REPLY_WITHIN_MS, finish);
    socket.once('error', finish).once('close', finish);
    socket.once('connect', () => socket.write(`AUTH ${password}\r\n${command}\r\n`));
    socket.setEncoding('utf8').on('data', (text: string) => {
      received += text;
      if (lines().length >= 2) finish();
    });
  });
}
