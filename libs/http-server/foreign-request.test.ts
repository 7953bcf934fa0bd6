import { describe, expect, it } from 'vitest';
import { checkHost, checkOrigin, createHostRule, isLoopback } from './foreign-request.ts';

const request = (headers: Readonly<Record<string, string>>, url = 'http://localhost/') => ({
  url,
  header: (name: string) => headers[name],
});
const isRefused = (check: () => void) => {
  try {
    check();
    return false;
  } catch {
    return true;
  }
};

describe('checkHost', () => {
  it('on loopback, accepts the names of loopback and the configured name, and no other', () => {
    const rule = createHostRule(['Tandem.internal']);
    const ours = [
      'localhost',
      'LOCALHOST:8080',
      '127.0.0.1',
      '127.0.0.1:8080',
      '127.1.2.3:1',
      '[::1]',
      '[::1]:8080',
      'tandem.internal:8080',
    ];
    expect(ours.filter((host) => isRefused(() => checkHost(request({ host }), rule)))).toEqual([]);
    const foreign = [
      '',
      'evil.example',
      'evil.example:8080',
      'localhost.evil.example',
      '127.0.0.1.evil.example:8080',
      'evil.example:localhost',
      'localhost@evil.example',
      '[::1].evil.example',
      '192.168.1.4:8080',
      '0.0.0.0:8080',
      '127.0.0.1:80:80',
      'tandem.internal.evil.example',
    ];
    expect(foreign.filter((host) => !isRefused(() => checkHost(request({ host }), rule)))).toEqual([]);
  });

  it('knows loopback', () => {
    expect(['127.0.0.1', '127.9.9.9', '::1', 'localhost'].every(isLoopback)).toBe(true);
    expect(['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example', 'localhost.example'].some(isLoopback)).toBe(false);
  });
});

describe('checkOrigin', () => {
  it('accepts programs and pages of the same origin', () => {
    const host = 'localhost:8080';
    const ours = [
      { host },
      { host, origin: 'http://localhost:8080', 'sec-fetch-site': 'same-origin' },
      { host: 'API.example', origin: 'https://api.example' },
      { host, 'sec-fetch-site': 'none' },
    ];
    expect(ours.filter((headers) => isRefused(() => checkOrigin(request(headers))))).toEqual([]);
  });

  it('rejects pages of another origin', () => {
    const host = 'localhost:8080';
    const foreign = [
      { host, 'sec-fetch-site': 'cross-site' },
      { host, 'sec-fetch-site': 'same-site' },
      { host, 'sec-fetch-site': 'same-site', origin: 'http://localhost:8080' },
      { host, 'sec-fetch-site': 'something-new' },
      { host, origin: 'null' },
      { host, origin: '' },
      { host, origin: 'http://localhost:8081' },
      { host, origin: 'http://localhost' },
      { host, origin: 'http://evil.example' },
      { host, origin: 'http://localhost:8080.evil.example' },
      { host, origin: 'http://localhost:8080, http://evil.example' },
    ];
    expect(foreign.filter((headers) => !isRefused(() => checkOrigin(request(headers))))).toEqual([]);
  });
});
