import { describe, expect, it } from 'vitest';
import { frameFault } from './request-frame.ts';

const HOST = ['Host', 'localhost:8080'];
const fault = (rawHeaders: string[], url = '/livez', httpVersion = '1.1') =>
  frameFault({ rawHeaders, url, httpVersion });

describe('frameFault', () => {
  it('finds none in what HTTP allows', () => {
    expect(fault(HOST)).toBeUndefined();
    expect(fault(['Date', 'now', ...HOST, 'Transfer-Encoding', ' Chunked '])).toBeUndefined();
    expect(fault(HOST, 'http://LOCALHOST:8080/v1/runs?limit=1')).toBeUndefined();
    expect(fault([], '/livez', '1.0')).toBeUndefined();
  });

  it.each<[string, string[], string, string, string | undefined]>([
    ['no Host', [], '/livez', '1.1', 'Host'],
    ['two Hosts', [...HOST, 'host', 'localhost:8080'], '/livez', '1.1', 'Host'],
    ['a coding that is not undone', [...HOST, 'transfer-encoding', 'gzip, chunked'], '/', '1.1', 'Transfer-Encoding'],
    ['a coding in HTTP/1.0', [...HOST, 'Transfer-Encoding', 'chunked'], '/', '1.0', 'Transfer-Encoding'],
    ['another authority than Host', HOST, 'https://example.com/livez', '1.1', 'Host'],
    ['a fragment', HOST, '/v1/predictions/count/2#4', '1.1', undefined],
  ])('finds %s, after which the connection is not used again', (_, headers, url, version, field) => {
    expect(fault(headers, url, version)).toMatchObject({
      code: 'malformed_request',
      field,
      remedy: expect.stringMatching(/\S/),
      headers: { connection: 'close' },
    });
  });
});
