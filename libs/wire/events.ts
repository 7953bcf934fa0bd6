/**
 * CloudEvents 1.0 that report changes of users, and the result of each event. These schemas only describe the bodies:
 * apps/api/routes/events/cloud-event.ts checks them.
 */
import { z } from 'zod';

export const STRUCTURED = 'application/cloudevents+json';
export const BATCHED = 'application/cloudevents-batch+json';
export const MAX_EVENTS = 1_000;
const attribute = z.string().optional();

/** The attributes of an event in the binary mode. */
export const AttributeHeaders = z.object({
  'ce-specversion': attribute.meta({ description: 'Binary mode only, like all `ce-…` headers', example: '1.0' }),
  'ce-id': attribute.meta({ example: 'order-1009' }),
  'ce-source': attribute.meta({ example: '/shop/orders' }),
  'ce-type': attribute.meta({ example: 'order.placed' }),
  'ce-subject': attribute.meta({ description: 'The user id', example: '42' }),
  'ce-time': attribute.meta({ example: '2026-11-24T10:12:00Z' }),
});

export const EventSchema = z
  .looseObject({
    specversion: z.literal('1.0'),
    id: z.string().meta({ description: 'Together with `source`, identifies the event: a retry sends the same id' }),
    source: z.string().meta({ description: 'The sender of the event' }),
    type: z.string(),
    subject: z.string().meta({ description: 'The user id' }),
    // CloudEvents 1.0 lets senders write null for an attribute that is not set.
    time: z.iso.datetime({ offset: true }).nullish().meta({
      description:
        'When the event happened. For one feature, the value with the latest time counts; without times, the value that was accepted last',
    }),
    datacontenttype: z
      .string()
      .regex(/^application\/json[ \t]*(;|$)/)
      .nullish()
      .meta({ description: '`application/json`, which is the default' }),
    data: z
      .record(z.string(), z.union([z.number(), z.string(), z.boolean(), z.null()]))
      .nullish()
      .meta({
        description:
          'Feature values by name; null withdraws a value. Without `data` the event only says that the user changed',
      }),
  })
  .meta({
    id: 'Event',
    example: {
      specversion: '1.0',
      id: 'order-1009',
      source: '/shop/orders',
      type: 'order.placed',
      subject: '42',
      time: '2026-11-24T10:12:00Z',
      data: { orders: 4 },
    },
  });

export const EventDataSchema = z
  .record(z.string(), z.unknown())
  .meta({ description: 'Feature values by name, as in `data`: the body of an event in binary mode' });

export const EventBatchSchema = z.array(EventSchema).max(MAX_EVENTS);

const EventResultSchema = z
  .strictObject({
    id: z.string(),
    source: z.string(),
    status: z.enum(['accepted', 'duplicate', 'erased']),
    userId: z.string(),
    contextVersion: z.int(),
    contextToken: z
      .string()
      .meta({ description: 'Token for the header Prediction-Min-Context: a read with it reflects this event' }),
    ignored: z.array(z.string()).max(10).optional().meta({
      description:
        'The first ten names in `data` that no predictor takes from events, each cut to 64 characters. Either the name is misspelt, or its predictor sets neither features.asOf nor features.overlayFor. Left out if there are none',
    }),
  })
  .meta({ id: 'EventResult' });

export const EventResultsSchema = z
  .strictObject({
    results: z.array(EventResultSchema),
  })
  .meta({
    id: 'EventResults',
    example: {
      results: [
        {
          id: 'order-1009',
          source: '/shop/orders',
          status: 'accepted',
          userId: '42',
          contextVersion: 6,
          contextToken: '9f2c4a1be07d3358.6',
        },
      ],
    },
  });
