/** A fault in which all recent events are sent again, as by a sender that has lost its position in its log. */
import { until } from '../../../e2e/until.fixture.ts';
import type { EventResult } from '../history.ts';
import { HTTP_SOURCE } from '../load/event-writers.ts';
import type { Stage } from '../rig/session.ts';
import type { NamedFault } from './fault.ts';

const MOST = 5_000;
const BATCH = 250;
const SENDERS = 3;

export const repeatedEvents: readonly NamedFault[] = [
  {
    name: 'events-repeated',
    what: `the latest ${MOST} events that were acknowledged over HTTP are sent again, ${BATCH} at a time by ${SENDERS} senders`,
    expected: 'each is acknowledged as a duplicate with its first version, and has no effect',
    run: repeatAll,
  },
];

interface StoredEvent {
  readonly id: string;
  readonly type: string;
  readonly userId: string;
  readonly version: number;
}

async function repeatAll(stage: Stage): Promise<void> {
  const { rows } = await stage.rig.pool.query<StoredEvent>({
    text: `select e.id, e.type, e.user_id as "userId", i.context_version::int as version
      from tandem.events e join tandem.event_ids i on i.source = e.source collate "C" and i.id = e.id collate "C"
      where e.source = $1 order by i.accepted_at desc limit ${MOST}`,
    values: [HTTP_SOURCE],
  });
  const batches = Array.from({ length: Math.ceil(rows.length / BATCH) }, (_, i) =>
    rows.slice(i * BATCH, (i + 1) * BATCH),
  );
  const sendSome = async () => {
    for (let batch = batches.pop(); batch; batch = batches.pop()) {
      // Like any sender, repeats a batch that is refused as a whole until it is accepted.
      const answer = await until('repeated events are acknowledged', () => sendAgain(stage, batch));
      // Checked outside the poll: the next attempt must not hide a wrong answer.
      checkDuplicates(batch, answer);
    }
  };
  await stage.fault(
    { name: 'events repeated' },
    {
      inject: async () => void (await Promise.all(Array.from({ length: SENDERS }, sendSome))),
      lift: async () => {},
    },
  );
}

interface Told {
  readonly status: number;
  readonly results?: readonly EventResult[];
}

/** Sends the batch again; returns undefined if it was refused as a whole. */
async function sendAgain({ rig, random }: Stage, batch: readonly StoredEvent[]): Promise<Told | undefined> {
  const answer = await fetch(`${rig.apis[Math.floor(random() * rig.apis.length)]?.url}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents-batch+json' },
    body: JSON.stringify(
      batch.map(({ id, type, userId }) => ({
        ...{ specversion: '1.0', source: HTTP_SOURCE },
        ...{ id, type, subject: userId },
      })),
    ),
  });
  const { results } = (await answer.json()) as Pick<Told, 'results'>;
  if (answer.status === 503) return undefined;
  return { status: answer.status, ...(results && { results }) };
}

/** Throws if an event was not acknowledged as a duplicate with its version. */
function checkDuplicates(batch: readonly StoredEvent[], { status, results }: Told): void {
  if (results === undefined) throw new Error(`repeated events were answered with ${status}`);
  for (const [i, { id, version }] of batch.entries()) {
    const result = results[i];
    if (result?.id === id && result.status === 'duplicate' && result.contextVersion === version) continue;
    throw new Error(`event ${id} of version ${version} was acknowledged as ${JSON.stringify(result)}`);
  }
}
