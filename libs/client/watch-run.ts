/** Follows the progress of a run, and reopens lost connections: each new stream begins with the state of the run. */
import { ProblemError, UnreachableError } from '@tandem/transport/client-errors';
import { type RetryOptions, retry } from '@tandem/transport/retry';
import type { Transport } from '@tandem/transport/transport';
import { isFinished, type Run } from './wire.ts';

interface WatchParts {
  readonly transport: Transport;
  readonly retry: RetryOptions;
  /** Milliseconds without data after which the stream is reopened. */
  readonly idleMs: number;
}

/** The number of empty streams in a row after which the service is considered faulty. */
const BARREN_STREAMS = 8;

/**
 * Yields the run at each change, until it is finished. Fails with a problem (`unknown_run`), or if the service stays
 * unreachable.
 */
export async function* watchRun(parts: WatchParts, runId: string, signal?: AbortSignal): AsyncGenerator<Run, void> {
  const { transport, retry: patience, idleMs } = parts;
  const path = `/v1/runs/${encodeURIComponent(runId)}/progress`;
  const headers = { accept: 'text/event-stream' };
  for (let barren = 0; barren < BARREN_STREAMS; barren += 1) {
    const life = watchLife(idleMs, signal);
    try {
      const body = await retry(patience, signal, () => transport.stream({ path, headers, signal: life.signal }));
      for await (const { data } of readServerSentEvents(body.pipeThrough(life.onBytes()))) {
        const run = JSON.parse(data) as Run;
        yield run;
        if (isFinished(run.state)) return;
        barren = 0;
      }
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      // Problems of the service, and errors after all retries, are final; a broken stream is opened again.
      if (error instanceof ProblemError || error instanceof UnreachableError) throw error;
    } finally {
      life.end();
    }
    await patience.sleep(200 * (barren + 1), signal);
  }
  throw new UnreachableError(path, false, 'the progress stream ended several times without an event');
}

/** Aborts a stream that sends no data, or whose reader has closed it. */
function watchLife(idleMs: number, signal: AbortSignal | undefined) {
  const controller = new AbortController();
  const die = () => controller.abort(new Error(`no data for ${idleMs} ms`));
  let timer = setTimeout(die, idleMs);
  const abort = () => controller.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort, { once: true });
  return {
    signal: controller.signal,
    onBytes: () =>
      new TransformStream<Uint8Array, Uint8Array>({
        transform: (bytes, sink) => {
          clearTimeout(timer);
          timer = setTimeout(die, idleMs);
          sink.enqueue(bytes);
        },
      }),
    end: () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      controller.abort(new Error('the reader closed the stream'));
    },
  };
}

/** An event of a stream of server-sent events (HTML Living Standard, 9.2.6), as far as the service uses the format. */
export interface ServerSentEvent {
  readonly event: string;
  readonly data: string;
  readonly id: string | undefined;
}

/** Yields the events of a body, in order, until the stream ends. An incomplete event at the end is dropped. */
export async function* readServerSentEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  let pending = '';
  for await (const bytes of chunksOf(body)) {
    pending += decoder.decode(bytes, { stream: true });
    // A carriage return at the end may be the first half of a CRLF.
    const blocks = pending.split(/(?:\r\n|\n|\r(?!\n|$)){2}/);
    pending = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = parseEvent(block);
      if (event !== undefined) yield event;
    }
  }
}

/**
 * Yields the chunks of a stream, since not every browser supports `for await` on streams. Cancels the stream when the
 * reader stops.
 */
async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** Returns the event of these lines; undefined for a block of comments, which only keep the connection open. */
export function parseEvent(block: string): ServerSentEvent | undefined {
  let [event, id]: [string, string | undefined] = ['message', undefined];
  const data: string[] = [];
  for (const line of block.split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(':');
    if (colon === 0) continue;
    const [field, value] = colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
    if (field === 'data') data.push(value);
    else if (field === 'event') event = value;
    else if (field === 'id') id = value;
  }
  return data.length === 0 ? undefined : { event, data: data.join('\n'), id };
}
