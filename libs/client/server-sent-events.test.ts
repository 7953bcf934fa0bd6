import { expect, test } from 'vitest';
import { parseEvent, readServerSentEvents, type ServerSentEvent } from './watch-run.ts';

/** Reads the events of a text that arrives in pieces of the given size. */
async function readInPieces(text: string, size: number): Promise<ServerSentEvent[]> {
  const bytes = new TextEncoder().encode(text);
  const body = new ReadableStream<Uint8Array>({
    start: (sink) => {
      for (let at = 0; at < bytes.length; at += size) sink.enqueue(bytes.slice(at, at + size));
      sink.close();
    },
  });
  const events: ServerSentEvent[] = [];
  for await (const event of readServerSentEvents(body)) events.push(event);
  return events;
}

const TEXT = 'event: progress\nid: 7\ndata: {"name":"Zoë"}\n\n: still here\n\ndata: one\ndata: two\r\n\r\n';

test.each([1, 2, 3, 7, 1000])(
  'events are complete if the stream comes in pieces of %i bytes, and comments are skipped',
  async (size) => {
    expect(await readInPieces(TEXT, size)).toEqual([
      { event: 'progress', data: '{"name":"Zoë"}', id: '7' },
      { event: 'message', data: 'one\ntwo', id: undefined },
    ]);
  },
);

test('an event that is incomplete at the end of the stream is dropped', async () => {
  expect(await readInPieces('data: whole\n\ndata: ha', 4)).toEqual([
    { event: 'message', data: 'whole', id: undefined },
  ]);
});

test('a field without a colon has an empty value, and one space after the colon is not part of it', () => {
  expect(parseEvent('data')).toEqual({ event: 'message', data: '', id: undefined });
  expect(parseEvent('data:  x')?.data).toBe(' x');
});
