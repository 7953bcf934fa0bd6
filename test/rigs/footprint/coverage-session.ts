/**
 * Counts the functions that a Node process runs, with V8's precise coverage. It connects to the inspector of the
 * process (Chrome DevTools Protocol), so the product's code needs no change.
 *
 * https://chromedevtools.github.io/devtools-protocol/v8/Profiler/
 */
import { Session } from 'node:inspector/promises';

export interface CoveredRange {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

export interface CoveredFunction {
  readonly functionName: string;
  /**
   * The first range is the function itself. Offsets are UTF-16 units of the file's text, because Node replaces types by
   * spaces.
   */
  readonly ranges: readonly CoveredRange[];
}

export interface CoveredScript {
  readonly url: string;
  readonly functions: readonly CoveredFunction[];
}

export interface CoverageSession {
  /** Returns the functions that ran since the last call, and resets the counts. */
  take(): Promise<readonly CoveredScript[]>;
  close(): void;
}

type Post = (method: string, parameters?: object) => Promise<unknown>;

/** Connects to the inspector of another process. */
export async function attach(webSocketUrl: string): Promise<CoverageSession> {
  const socket = new WebSocket(webSocketUrl);
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve(), { once: true });
    socket.addEventListener('error', () => reject(new Error(`no inspector answers at ${webSocketUrl}`)), {
      once: true,
    });
  });
  const waiting = new Map<number, (message: { result?: unknown; error?: { message: string } }) => void>();
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data));
    waiting.get(message.id)?.(message);
    waiting.delete(message.id);
  });
  let calls = 0;
  const post: Post = (method, params = {}) =>
    new Promise((resolve, reject) => {
      const id = ++calls;
      waiting.set(id, ({ result, error }) =>
        error ? reject(new Error(`${method}: ${error.message}`)) : resolve(result),
      );
      socket.send(JSON.stringify({ id, method, params }));
    });
  return begin(post, () => socket.close());
}

/** Connects to the inspector of this process. */
export function attachToSelf(): Promise<CoverageSession> {
  const session = new Session();
  session.connect();
  // The method is one of the two below. The overloads of `post` do not accept a plain string.
  const post: Post = (method, parameters) => session.post(method as 'Profiler.enable', parameters as undefined);
  return begin(post, () => session.disconnect());
}

async function begin(post: Post, close: () => void): Promise<CoverageSession> {
  await post('Profiler.enable');
  await post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  return {
    async take() {
      const { result } = (await post('Profiler.takePreciseCoverage')) as { result: readonly CoveredScript[] };
      return result;
    },
    close,
  };
}
