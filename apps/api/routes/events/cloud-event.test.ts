import { EventSchema } from '@tandem/wire/events';
import { describe, expect, it } from 'vitest';
import { binaryAttributes, parseCloudEvent } from './cloud-event.ts';

const minimal = { specversion: '1.0', id: 'e1', source: '/shop', type: 'order.placed', subject: '42' };
const refused = (field: string) =>
  expect.objectContaining({ code: 'invalid_input', field, remedy: expect.any(String) });

describe('parseCloudEvent', () => {
  it('reads the required attributes, and returns null for missing optional ones', () => {
    expect(parseCloudEvent(minimal)).toEqual({
      source: '/shop',
      id: 'e1',
      type: 'order.placed',
      userId: '42',
      time: null,
      data: null,
    });
  });

  it('reads time, data and extension attributes', () => {
    const event = {
      ...minimal,
      time: '2026-11-24t02:00:11.250+01:00',
      datacontenttype: 'application/json; charset=utf-8',
      dataschema: 'https://x/y',
      traceparent: '00-x',
      sequence: 7,
      nothing: null,
      data: { orders: 3 },
    };
    expect(parseCloudEvent(event)).toMatchObject({ time: new Date('2026-11-24T01:00:11.250Z'), data: { orders: 3 } });
    expect(parseCloudEvent({ ...minimal, time: '2024-02-29T00:00:00Z' }).time).toEqual(
      new Date('2024-02-29T00:00:00Z'),
    );
  });

  it.each([
    ['specversion', { specversion: '0.3' }],
    ['specversion', { specversion: undefined }],
    ['id', { id: '' }],
    ['id', { id: 7 }],
    ['source', { source: undefined }],
    ['type', { type: null }],
    ['subject', { subject: 42 }],
    ['subject', { subject: undefined }],
    ['time', { time: 'yesterday' }],
    ['time', { time: '2026-02-30T00:00:00Z' }],
    ['time', { time: '2026-11-24T25:00:00Z' }],
    ['time', { time: '2026-11-24 02:00:11Z' }],
    ['time', { time: 1_764_000_000 }],
    ['time', { time: '+275760-09-13T00:00:00Z' }],
    ['datacontenttype', { datacontenttype: 'application/xml' }],
    ['datacontenttype', { datacontenttype: 'application/jsonp' }],
    ['datacontenttype', { datacontenttype: 7 }],
    ['datacontenttype', { datacontenttype: true }],
    ['datacontenttype', { datacontenttype: { type: 'application/json' } }],
    ['data', { data: [1] }],
    ['data', { data: 'text' }],
    ['data_base64', { data_base64: 'AA==' }],
    ['userId', { userId: '42' }],
    ['extension', { extension: { a: 1 } }],
  ])('rejects a wrong %s: %j', (field, change) => {
    expect(() => parseCloudEvent({ ...minimal, ...change })).toThrow(refused(field));
    expect(() => parseCloudEvent({ ...minimal, ...change }, '[3].')).toThrow(refused(`[3].${field}`));
  });

  it.each<[string, readonly unknown[]]>([
    ['time', [null, 7, 'yesterday']],
    ['datacontenttype', [null, 7, {}, 'application/xml', 'application/json;charset=utf-8']],
    ['data', [null, 7, [], { orders: 1 }]],
  ])('takes %s in the same forms as its published schema', (name, values) => {
    const isTaken = (event: object) => {
      try {
        return parseCloudEvent(event) !== undefined;
      } catch {
        return false;
      }
    };
    const events = values.map((value) => ({ ...minimal, [name]: value }));
    expect(events.map(isTaken)).toEqual(events.map((event) => EventSchema.safeParse(event).success));
    expect(events.map(isTaken)).toContain(true);
  });

  it('says how to send several events if the body is an array', () => {
    const remedy = expect.stringMatching(/, or several events as application\/cloudevents-batch\+json$/);
    const message = 'The body is not a CloudEvent.';
    for (const body of [[], [minimal]]) {
      expect(() => parseCloudEvent(body)).toThrow(expect.objectContaining({ message, remedy }));
    }
    expect(() => parseCloudEvent([], '[1].')).toThrow('[1]: the value is not a CloudEvent.');
  });

  it.each([null, 'text', 7, [minimal]])('rejects %j, which is not an event', (body) => {
    expect(() => parseCloudEvent(body)).toThrow(expect.objectContaining({ code: 'invalid_input' }));
    expect(() => parseCloudEvent(body, '[1].')).toThrow(refused('[1]'));
  });
});

describe('binaryAttributes', () => {
  it('reads ce- headers in any case, unquoted and percent-decoded once', () => {
    const headers: [string, string][] = [
      ['CE-Id', 'a%2525'],
      ['ce-subject', 'J%C3%BCrgen%20'],
      ['ce-source', '"a \\"b\\""'],
      ['content-type', 'x'],
    ];
    expect({ ...binaryAttributes(headers) }).toEqual({ id: 'a%25', subject: 'Jürgen ', source: 'a "b"' });
  });

  it.each(['%zz', '%ff', 'JÃ¼rgen'])('rejects %j as malformed and names the header', (value) => {
    expect(() => binaryAttributes([['ce-subject', value]])).toThrow(
      expect.objectContaining({ code: 'malformed_request', field: 'ce-subject' }),
    );
  });
});
