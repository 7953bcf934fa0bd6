/**
 * A bucket for tests, with the HTTP protocol of S3. It checks each request's signature (AWS Signature Version 4) by a
 * separate computation, checks the body's hash, and keeps objects in memory.
 */
import { createHash, createHmac } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface S3Server {
  readonly endpoint: string;
  /** Objects by path: `/bucket/prefix/key`. */
  readonly objects: Map<string, Buffer>;
  /** Answers the next `count` requests with 503. */
  failNext(count: number): void;
  close(): Promise<void>;
}

export async function startS3Server(accessKeyId: string, secretAccessKey: string): Promise<S3Server> {
  const objects = new Map<string, Buffer>();
  let failing = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const [status, answer] =
        failing-- > 0 ? [503, ''] : serve(objects, request, body, { accessKeyId, secretAccessKey });
      response.writeHead(Number(status)).end(answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    failNext: (count) => {
      failing = count;
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

function serve(
  objects: Map<string, Buffer>,
  request: IncomingMessage,
  body: Buffer,
  keys: Keys,
): [status: number, answer: Buffer | string] {
  const path = request.url ?? '';
  const refuse = (status: number, code: string): [number, string] => [status, `<Error><Code>${code}</Code></Error>`];
  if (!isSigned(request, keys)) return refuse(403, 'SignatureDoesNotMatch');
  if (sha256(body) !== request.headers['x-amz-content-sha256']) return refuse(400, 'XAmzContentSHA256Mismatch');
  if (request.method === 'PUT') {
    objects.set(path, body);
    return [200, ''];
  }
  if (request.method === 'DELETE') {
    objects.delete(path);
    return [204, ''];
  }
  return [objects.has(path) ? 200 : 404, objects.get(path) ?? '<Error><Code>NoSuchKey</Code></Error>'];
}

/** Returns whether a request is signed as in docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html. */
function isSigned(request: IncomingMessage, { accessKeyId, secretAccessKey }: Keys): boolean {
  const form =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8}\/[^/]+\/s3\/aws4_request), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/;
  const [, id, scope = '', signed = '', signature] = form.exec(request.headers.authorization ?? '') ?? [];
  const headers = signed.split(';').map((name) => `${name}:${String(request.headers[name]).trim()}\n`);
  const payload = String(request.headers['x-amz-content-sha256']);
  const canonical = [request.method, request.url, '', headers.join(''), signed, payload].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', request.headers['x-amz-date'], scope, sha256(canonical)].join('\n');
  const key = scope.split('/').reduce<string | Buffer>((secret, part) => hmac(secret, part), `AWS4${secretAccessKey}`);
  return id === accessKeyId && signature === hmac(key, toSign).toString('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function sha256(bytes: string | Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
