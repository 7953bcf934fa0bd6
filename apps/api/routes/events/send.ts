/**
 * POST /v1/events: CloudEvents in the structured, batched or binary mode. All events of a request are applied, or none.
 * POST /v1/events/batch: only the batched mode.
 */

import type { Caller } from '@tandem/endpoints/access';
import { countStatuses, withField } from '@tandem/endpoints/batch';
import { readBody, refuseContentEncoding, requireMediaType } from '@tandem/endpoints/body';
import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import type { Endpoint } from '@tandem/endpoints/endpoint';
import { readJson } from '@tandem/endpoints/json/read-json';
import { isTandemError, TandemError } from '@tandem/freshness/errors';
import type { ContextEvent } from '@tandem/prediction/events/events';
import type { WideEvent } from '@tandem/telemetry/wide-event';
import {
  AttributeHeaders,
  BATCHED,
  EventBatchSchema,
  EventDataSchema,
  EventResultsSchema,
  EventSchema,
  MAX_EVENTS,
  STRUCTURED,
} from '@tandem/wire/events';
import type { Context } from 'hono';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { binaryAttributes, parseCloudEvent } from './cloud-event.ts';

type EventMediaType = typeof STRUCTURED | typeof BATCHED | 'application/json';

/** Events, and the prefix of each event's place in the field of a problem. */
interface Incoming {
  readonly events: readonly ContextEvent[];
  prefix(index: number): string;
  /** Whether the attributes are `ce-` headers, which problems then name. */
  readonly isBinary?: true;
}

/** Returns both endpoints: that of single events, which takes batches too, and that of batches only. */
export function sendEvents(dependencies: RouteDependencies): readonly Endpoint[] {
  return [
    defineEndpoint({
      operationId: 'sendEvents',
      path: '/v1/events',
      summary: 'Send an event',
      description: `CloudEvents 1.0: \`subject\` is the user id, and \`data\` is an object of feature values or absent. The acknowledgement means a durable commit that raised the user's context version. An event with the same source and id as an earlier one is answered as a duplicate. Values that no predictor takes are ignored and named in the result. The binary mode has the attributes in \`ce-\` headers and \`data\` as an \`application/json\` body. Batches (\`${BATCHED}\`) are accepted here as at \`/v1/events/batch\`.`,
      headers: AttributeHeaders,
      bodies: { [STRUCTURED]: { schema: EventSchema }, 'application/json': { schema: EventDataSchema } },
      ...sending(dependencies, [STRUCTURED, BATCHED, 'application/json']),
    }),
    // A separate path, because generated Python clients cannot send an array to a path that takes other media types
    // too.
    defineEndpoint({
      operationId: 'sendEventBatch',
      path: '/v1/events/batch',
      summary: 'Send a batch of events',
      description: `Takes an array of at most ${MAX_EVENTS.toLocaleString('en')} events, each in the form of \`POST /v1/events\`. All are applied, or none.`,
      bodies: { [BATCHED]: { schema: EventBatchSchema } },
      ...sending(dependencies, [BATCHED]),
    }),
  ];
}

/** Returns the common parts of both endpoints. */
function sending({ recordEvents, metrics }: RouteDependencies, mediaTypes: readonly EventMediaType[]) {
  return {
    method: 'post',
    tag: 'events',
    scope: 'events:write',
    answer: { status: 202, description: 'Applied; one result per event, in order', schema: EventResultsSchema },
    problems: ['event_conflict', 'unavailable'],
    async handle(context: Context, event: WideEvent, { keyId }: Caller) {
      try {
        const { events, prefix, isBinary } = await readEvents(context, mediaTypes);
        event.add({ events: events.length });
        const results = await recordEvents(events, prefix, keyId).catch((error) => {
          const found = events.length === 1 && prefix(0) === '' ? withoutIndex(error) : error;
          throw isBinary ? ofHeader(found) : found;
        });
        for (const { status } of results) metrics.events.inc({ outcome: status });
        event.add({
          get outcomes() {
            return countStatuses(results);
          },
        });
        const ignored = results.filter((result) => result.status === 'accepted' && result.ignored).length;
        if (ignored > 0) {
          metrics.eventsIgnored.inc(ignored);
          event.add({ withIgnoredValues: ignored });
        }
        return { results };
      } catch (error) {
        metrics.events.inc({ outcome: 'refused' });
        throw error;
      }
    },
  } as const;
}

async function readEvents({ req }: Context, mediaTypes: readonly EventMediaType[]): Promise<Incoming> {
  refuseContentEncoding(req.header('content-encoding'));
  const bytes = await readBody(req.raw, req.header('content-length'));
  const contentType = req.header('content-type');
  const isBare = contentType === undefined && bytes.length === 0;
  if (isBare && mediaTypes.includes('application/json')) return readBinary(req.raw.headers, null);
  switch (requireMediaType(contentType, mediaTypes)) {
    case STRUCTURED:
      return { events: [parseCloudEvent(readJson(bytes))], prefix: () => '' };
    case BATCHED:
      return readBatch(readJson(bytes));
    case 'application/json':
      return readBinary(req.raw.headers, bytes.length === 0 ? null : readJson(bytes));
  }
}

function readBatch(value: unknown): Incoming {
  if (!Array.isArray(value)) {
    throw new TandemError('invalid_input', 'The batch is not a JSON array of events.', {
      remedy: `send an array, or one event as ${STRUCTURED}`,
    });
  }
  if (value.length > MAX_EVENTS) {
    throw new TandemError(
      'invalid_input',
      `The batch has ${value.length} events, more than the limit of ${MAX_EVENTS}.`,
      {
        field: `[${MAX_EVENTS}]`,
        remedy: 'send them in several batches',
      },
    );
  }
  return { events: value.map((one, i) => parseCloudEvent(one, `[${i}].`)), prefix: (index) => `[${index}].` };
}

function readBinary(headers: Headers, data: unknown): Incoming {
  const attributes = binaryAttributes(headers);
  if (Object.keys(attributes).length === 0) {
    throw new TandemError('invalid_input', 'The request has no CloudEvent: it has no ce- headers.', {
      field: 'ce-specversion',
      remedy: `send Content-Type: ${STRUCTURED} (or ${BATCHED}), or the attributes as ce- headers`,
    });
  }
  try {
    return { events: [parseCloudEvent({ ...attributes, data })], prefix: () => '', isBinary: true };
  } catch (error) {
    throw ofHeader(error);
  }
}

/** Replaces the attribute in an error by its header. `data` is the body. */
function ofHeader(error: unknown): unknown {
  if (!isTandemError(error) || error.field === undefined || /^data(?:$|[.[])/.test(error.field)) return error;
  return withField(error, `ce-${error.field}`);
}

/** Removes the index from the error of a single event: the sender sent no list. */
function withoutIndex(error: unknown): unknown {
  return isTandemError(error) && error.field?.startsWith('[0].') ? withField(error, error.field.slice(4)) : error;
}
