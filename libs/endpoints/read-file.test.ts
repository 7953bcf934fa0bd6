import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { readFileBody } from './file-headers.ts';

const BOUNDS = { most: 100_000, remedy: 'send a smaller one' };
const file = Buffer.alloc(90_000, 'a file that comes in pieces');
const sha256 = createHash('sha256').update(file).digest('hex');

/**
 * Creates a request whose body is a file.
 * @param length the Content-Length header; absent: the body is sent in chunks
 */
function request(bytes: Buffer, length?: number, breaksAt = Number.POSITIVE_INFINITY): Request {
  let at = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= breaksAt) return controller.error(new Error('reset'));
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(at, at + 7_000));
      at += 7_000;
    },
  });
  const headers: Record<string, string> = length === undefined ? {} : { 'content-length': String(length) };
  return new Request('http://localhost', { method: 'PUT', body, headers, duplex: 'half' });
}

it.each([
  ['announced', file.length],
  ['in chunks', undefined],
])('reads a file that is %s, with its hash', async (_, length) => {
  const read = await readFileBody(request(file, length), BOUNDS);
  expect(read.sha256).toBe(sha256);
  expect(read.bytes.equals(file)).toBe(true);
});

it('rejects files that are announced or sent too large, and truncated files', async () => {
  const large = Buffer.alloc(120_000);
  const tooLarge = { code: 'body_too_large', remedy: 'send a smaller one' };
  await expect(readFileBody(request(large, large.length), BOUNDS)).rejects.toMatchObject(tooLarge);
  await expect(readFileBody(request(large), BOUNDS)).rejects.toMatchObject(tooLarge);
  const broken = readFileBody(request(file, file.length, 20_000), BOUNDS);
  await expect(broken).rejects.toMatchObject({ code: 'malformed_request' });
});
