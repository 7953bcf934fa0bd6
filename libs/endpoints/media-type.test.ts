import { describe, expect, it } from 'vitest';
import { refuseContentEncoding, requireMediaType } from './body.ts';

describe('requireMediaType', () => {
  it.each([
    'application/json',
    'Application/JSON',
    'application/json; charset=utf-8',
    'application/json;charset="UTF-8"; v=1',
  ])('takes %j', (header) => {
    expect(requireMediaType(header, ['application/json'])).toBe('application/json');
  });

  it.each([
    null,
    '',
    'text/plain',
    'application/jsonx',
    'multipart/form-data; boundary=x',
    'application/json; charset=utf-7',
    'application/json; charset=utf-16',
    'json',
  ])('rejects %j and names the supported types', (header) => {
    expect(() => requireMediaType(header, ['application/json'])).toThrow(
      expect.objectContaining({ code: 'unsupported_media_type', remedy: expect.stringContaining('application/json') }),
    );
  });
});

describe('refuseContentEncoding', () => {
  it('accepts a body without a content encoding only', () => {
    refuseContentEncoding(null);
    refuseContentEncoding('identity');
    expect(() => refuseContentEncoding('gzip')).toThrow(expect.objectContaining({ field: 'Content-Encoding' }));
  });
});
