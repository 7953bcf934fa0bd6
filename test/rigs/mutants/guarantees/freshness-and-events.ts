/** The mutants of guarantees 1 to 12 of docs/guarantees.md: answers and events. */
import type { GuaranteeMutant } from '../mutant.ts';

export const freshnessAndEvents: readonly GuaranteeMutant[] = [
  {
    guarantee: 1,
    name: 'label-one-below',
    what: 'a prediction that lacks the last event is fresh: off by one',
    patches: [
      {
        file: 'libs/freshness/judge.ts',
        find: `  if (candidate.contextVersion < user.touched) return 'stale';`,
        replace: `  if (candidate.contextVersion < user.touched - 1) return 'stale';`,
      },
    ],
  },
  {
    guarantee: 1,
    test: 1,
    name: 'memory-hides-demanded',
    what: 'control O2: memory answers although the certificate names a demanded answer that is newer',
    patches: [
      {
        file: 'libs/freshness/settle.ts',
        find: 'return judged.every(({ candidate }) => isOlder(labelOf(candidate), demanded));',
        replace: 'return judged.some(({ candidate }) => isOlder(labelOf(candidate), demanded)) && judged.length > 1;',
      },
    ],
  },
  {
    guarantee: 2,
    name: 'certificate-from-before',
    what: 'control N9: a read joins a certificate statement that was sent before the read arrived',
    patches: [
      {
        file: 'libs/freshness/statement-line.ts',
        find: `    return new Promise<A>((resolve, reject) => {
`,
        replace: `    return new Promise<A>((resolve, reject) => {
      const [sent] = this.#underWay;
      if (sent) {
        (sent as Waiting<Q, A>[]).push({ question, resolve, reject, deadline: this.#nextDeadline(), isOver: false });
        return;
      }
`,
      },
    ],
  },
  {
    guarantee: 3,
    name: 'certificate-of-another-read',
    what: 'a read takes the certificate that another read of the user waits for',
    patches: [
      {
        file: 'libs/offline-store/certificate/authority.ts',
        find: '  const ask = createStatementBatcher<AskedUsers, Certificate>({',
        replace: `  const waited = new Map<string, Promise<Certificate>>();
  const ask = createStatementBatcher<AskedUsers, Certificate>({`,
      },
      {
        file: 'libs/offline-store/certificate/authority.ts',
        find: '    certify: (userIds, ...predictors) => ask(askedOf(userIds, predictors)),',
        replace: `    certify(userIds, ...predictors) {
      const key = JSON.stringify([userIds, predictors]);
      const found = waited.get(key) ?? ask(askedOf(userIds, predictors)).finally(() => waited.delete(key));
      waited.set(key, found);
      return found;
    },`,
      },
    ],
  },
  {
    guarantee: 4,
    test: 1,
    name: 'chunk-labels-second',
    what: 'context versions of a chunk are read in a second statement, after the features',
    patches: [
      {
        file: 'libs/offline-store/features/feature-rows.ts',
        find: `import { execute } from '../sql/database.ts';`,
        replace: `import { textArray } from '../certificate/certificate-statement.ts';
import { execute, query as select } from '../sql/database.ts';`,
      },
      {
        file: 'libs/offline-store/features/feature-rows.ts',
        find: `  return withRequestDefaults(version, rows.finish());
`,
        replace: `  const batch = rows.finish();
  const found = await select<{ userId: string; version: number }>(db, {
    text: \`select user_id as "userId", version from tandem.user_contexts where user_id = any($1::text[])\`,
    values: [textArray(batch.userIds)],
  });
  const versions = new Map(found.map((one) => [one.userId, one.version]));
  const contextVersions = batch.userIds.map((userId) => versions.get(userId) ?? 0);
  return withRequestDefaults(version, { ...batch, contextVersions });
`,
      },
    ],
  },
  {
    guarantee: 4,
    test: 1,
    name: 'live-labels-second',
    what: 'context versions of a live read are read in a second statement, after the features',
    patches: [
      {
        file: 'libs/offline-store/features/features.ts',
        find: `    return readOf(await readOnce<TextRow>(pool, { ...asked, ...ROWS_AS_TEXT, onRow }), refused);
`,
        replace: `    const read = readOf(await readOnce<TextRow>(pool, { ...asked, ...ROWS_AS_TEXT, onRow }), refused);
    const found = await query<{ userId: string; version: number }>(pool, {
      text: \`select user_id as "userId", version from tandem.user_contexts where user_id = any($1::text[])\`,
      values: [textArray(read.rows.map(([userId]) => userId ?? ''))],
    });
    const versions = new Map(found.map((one) => [one.userId, String(one.version)]));
    return { ...read, rows: read.rows.map(([userId, own, ...rest]) => [userId, versions.get(userId ?? '') ?? own, ...rest] as RawRow) };
`,
      },
    ],
  },
  {
    guarantee: 5,
    name: 'events-in-sql-later',
    what: 'an event inserted in SQL does not raise its version within its transaction',
    patches: [
      {
        file: 'migrations/0051_events_by_day.sql',
        find: `  if seen.fresh is not null then
    perform tandem.apply_events(seen.fresh);`,
        replace: `  if seen.fresh is not null and current_setting('tandem.repeated_events', true) is not null then
    perform tandem.apply_events(seen.fresh);`,
      },
    ],
  },
  {
    guarantee: 6,
    name: 'revision-without-sources',
    what: 'the revision of assignments does not include bulk changes of watched tables, so APIs keep outdated arms',
    patches: [
      {
        file: 'libs/offline-store/certificate/certificate-statement.ts',
        find: `\`(s.revision + (select coalesce(sum(version), 0)::bigint from tandem.source_versions)
    +`,
        replace: '`(s.revision +',
      },
    ],
  },
  {
    guarantee: 7,
    name: 'floor-at-features',
    what: 'a re-scored answer gets the overlay floor at the time of its features, not that of its certificate',
    patches: [
      {
        file: 'libs/prediction/live/run-flights.ts',
        find: '      const entry = entryOf(request, batch, row, bytes);',
        replace: `      const floor = certificate.assignments(request.version.predictor)?.stable.overlayFloor;
      const entry = { ...entryOf(request, batch, row, bytes), ...(floor !== undefined && { overlayFloor: floor }) };`,
      },
    ],
  },
  {
    guarantee: 7,
    test: 1,
    name: 'taken-window-ignored',
    what: 'a worker re-scores a user although another worker has taken the time window',
    patches: [
      {
        file: 'libs/prediction/refresh/refresh-pass.ts',
        find: 'readers.filter((_reader, i) => waits[i] === 0)',
        replace: 'readers.filter((_reader, i) => waits[i] !== undefined)',
      },
    ],
  },
  {
    guarantee: 8,
    name: 'context-not-locked',
    what: 'an event does not lock the context of its user, so two events get one version',
    patches: [
      {
        file: 'migrations/0051_events_by_day.sql',
        find: 'order by c.user_id for update) locked;',
        replace: 'order by c.user_id) locked;',
      },
    ],
  },
  {
    guarantee: 9,
    name: 'repetition-unknown',
    what: 'a repeated event is recognised only within its batch',
    patches: [
      {
        file: 'migrations/0051_events_by_day.sql',
        find: '      k.payload_hash is not null or row_number() over same > 1 as repeated',
        replace: '      row_number() over same > 1 as repeated',
      },
    ],
  },
  {
    guarantee: 10,
    name: 'hash-without-user',
    what: 'an event with the id and content of an event of another user counts as its repetition',
    patches: [
      {
        file: 'migrations/0003_event_checks.sql',
        find: 'jsonb_build_array(type, user_id, extract(epoch from "time"), data)',
        replace: 'jsonb_build_array(type, extract(epoch from "time"), data)',
      },
    ],
  },
  {
    guarantee: 11,
    name: 'event-values-by-arrival',
    what: 'of two event values with times, the value that arrives later counts',
    patches: [
      {
        file: 'migrations/0022_order_of_event_values.sql',
        find: `    if last_time > fresh_time then return last; end if;
`,
        replace: '',
      },
    ],
  },
  {
    guarantee: 12,
    name: 'acknowledged-before-commit',
    what: 'an event is acknowledged before its transaction is committed',
    patches: [
      {
        file: 'libs/offline-store/events/events.ts',
        find: '      return await sendEvents(pool, events, sent, { keyId, lockTimeoutMs, withinMs: leftMs() });',
        replace: `      const client = await pool.connect();
      try {
        await client.query('begin');
        return await sendEvents(client, events, sent, { keyId, lockTimeoutMs, withinMs: undefined });
      } finally {
        leftMs();
        setTimeout(() => void client.query('commit').finally(() => client.release()), 300);
      }`,
      },
    ],
  },
];
