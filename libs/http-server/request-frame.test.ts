import { describe, expect, it } from 'vitest';
import { frameFault } from './request-frame.ts';

const HOST = ['Host', 'localhost:8080'];
const fault = (rawHeaders: string[], url = '/livez', httpVersion = '1.1') =>
  frameFault({ rawHeaders, url, httpVersion });

describe('frameFault', () => {
  it('finds no error in requests that HTTP allows', () => {
    expect(fault(HOST)).toBeUndefined();
    expect(fault(['Date', 'now', ...HOST, 'Transfer-Encoding', ' Chunked '])).toBeUndefined();
    expect(fault(HOST, 'http://LOCALHOST:8080/v1/runs?limit=1')).toBeUndefined();
    expect(fault([], '/livez', '1.0')).toBeUndefined();
  });

  it.each<[string, string[], string, string, string | undefined]>([
    ['no Host', [], '/livez', '1.1', 'Host'],
    ['two Hosts', [...HOST, 'host', 'localhost:8080'], '/livez', '1.1', 'Host'],
    ['an unsupported coding', [...HOST, 'transfer-encoding', 'gzip, chunked'], '/', '1.1', 'Transfer-Encoding'],
    ['a coding in HTTP/1.0', [...HOST, 'Transfer-Encoding', 'chunked'], '/', '1.0', 'Transfer-Encoding'],
    ['an authority that differs from Host', HOST, 'https://example.com/livez', '1.1', 'Host'],
    ['a fragment', HOST, '/v1/predictions/count/2#4', '1.1', undefined],
  ])('finds %s, and closes the connection', (_, headers, url, version, field) => {
    expect(fault(headers, url, version)).toMatchObject({
      code: 'malformed_request',
      field,
      remedy: expect.stringMatching(/\S/),
      headers: { connection: 'close' },
    });
  });
});
