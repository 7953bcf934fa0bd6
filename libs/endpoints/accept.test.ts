import { describe, expect, it } from 'vitest';
import { accepts } from './body.ts';

describe('accepts', () => {
  it.each([
    null,
    '',
    '*/*',
    'application/json',
    'application/*',
    'text/html, */*;q=0.1',
    'application/json;q=0.2',
    'TEXT/html, Application/JSON; charset=utf-8',
  ])('lets JSON through %j', (header) => {
    expect(accepts(header, 'application/json')).toBe(true);
  });

  it.each([
    'text/html',
    'application/xml, text/*',
    'application/json;q=0',
    '*/*, application/json;q=0',
    '*/*;q=0',
    'text/html, application/*;q=0.0',
  ])('excludes JSON by %j', (header) => {
    expect(accepts(header, 'application/json')).toBe(false);
  });
});
