import { describe, expect, it } from 'vitest';
import { MAX_BODY_BYTES, readBody } from './body.ts';

const post = (body: string | ReadableStream<Uint8Array> | null) =>
  new Request('http://x/', { method: 'POST', body, duplex: 'half' } as RequestInit);
const streamOf = (chunks: number, size: number) => {
  let sent = 0;
  return new ReadableStream<Uint8Array>({
    pull: (controller) => (sent++ < chunks ? controller.enqueue(new Uint8Array(size)) : controller.close()),
  });
};
const tooLarge = expect.objectContaining({
  code: 'body_too_large',
  remedy: 'send it in several requests, or shorten the data',
});

describe('readBody', () => {
  it('reads a body with and without a length', async () => {
    expect(Buffer.from(await readBody(post('{}'), '2')).toString()).toBe('{}');
    expect(await readBody(post(streamOf(3, 10)), null)).toHaveLength(30);
    expect(await readBody(post(null), null)).toHaveLength(0);
  });

  it('rejects a length above the limit before it reads a byte', async () => {
    const request = post(streamOf(1, 1));
    await expect(readBody(request, '99999999999')).rejects.toThrow(tooLarge);
    expect(request.bodyUsed).toBe(false);
  });

  it('counts a body without a length, and stops at the limit', async () => {
    // Compares the length only: if the test fails, printing the bytes would take minutes.
    const read = readBody(post(streamOf(1_000, 64 * 1024)), undefined).then(({ length }) => length);
    await expect(read).rejects.toThrow(tooLarge);
    expect(await readBody(post(streamOf(16, MAX_BODY_BYTES / 16)), null)).toHaveLength(MAX_BODY_BYTES);
  });

  it('rejects a truncated body as malformed', async () => {
    const broken = new ReadableStream({ pull: (controller) => controller.error(new Error('reset')) });
    await expect(readBody(post(broken), null)).rejects.toThrow(expect.objectContaining({ code: 'malformed_request' }));
  });
});
