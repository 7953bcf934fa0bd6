/**
 * The mutants of docs/guarantees.md: each guarantee has at least one small mistake that breaks it. The test that the page
 * names for the guarantee must catch it.
 */
import type { GuaranteeMutant } from './mutant.ts';

export const guaranteeMutants: readonly GuaranteeMutant[] = [
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
        (sent as Waiting<Q, A>[]).push({ question, resolve, reject, deadline: this.#nextDeadline() });
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
        find: `  return rows.finish();
`,
        replace: `  const batch = rows.finish();
  const found = await select<{ userId: string; version: number }>(db, {
    text: \`select user_id as "userId", version from tandem.user_contexts where user_id = any($1::text[])\`,
    values: [textArray(batch.userIds)],
  });
  const versions = new Map(found.map((one) => [one.userId, one.version]));
  return { ...batch, contextVersions: batch.userIds.map((userId) => versions.get(userId) ?? 0) };
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
        find: '      return await sendEvents(pool, events, sent, { lockTimeoutMs, withinMs: leftMs() });',
        replace: `      const client = await pool.connect();
      try {
        await client.query('begin');
        return await sendEvents(client, events, sent, { lockTimeoutMs, withinMs: undefined });
      } finally {
        leftMs();
        setTimeout(() => void client.query('commit').finally(() => client.release()), 300);
      }`,
      },
    ],
  },
  {
    guarantee: 13,
    name: 'unverified-called-fresh',
    what: 'an answer without a certificate is called fresh',
    patches: [
      {
        file: 'libs/freshness/unverified-read.ts',
        find: `    source: 'stale',
    reason: 'unverified',
    ageSeconds`,
        replace: `    source: best.source,
    reason: 'fresh',
    ageSeconds`,
      },
    ],
  },
  {
    guarantee: 14,
    name: 'loaded-once',
    what: 'a generation that was once in Redis counts as loaded for ever',
    patches: [
      {
        file: 'libs/prediction/runs/reconcile.ts',
        find: '/** Returns the generations that Redis does not hold completely. Rejects if Redis does not answer. */',
        replace: `const loadedOnce = new Set<string>();

/** Returns the generations that Redis does not hold completely. Rejects if Redis does not answer. */`,
      },
      {
        file: 'libs/prediction/runs/reconcile.ts',
        find: 'inForce.map((generation) => loader.isLoaded(generation))',
        replace:
          'inForce.map(async (one) => loadedOnce.has(one.id) || ((await loader.isLoaded(one)) && loadedOnce.add(one.id).size > 0))',
      },
    ],
  },
  {
    guarantee: 15,
    name: 'slots-read-once',
    what: 'the slots of a Redis Cluster are read once, so later primaries are unknown',
    patches: [
      {
        file: 'libs/online-store/cluster-topology.ts',
        find: 'if (ranges === null || isClosed || told === known) return;',
        replace: `if (ranges === null || isClosed || told === known || known !== '') return;`,
      },
    ],
  },
  {
    guarantee: 16,
    name: 'history-without-timeline',
    what: 'the history does not contain the timeline, so a promoted standby continues it',
    patches: [
      {
        file: 'migrations/0058_history_of_managed_servers.sql',
        find: 'timeline := substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8);',
        replace: `timeline := left(pg_walfile_name(pg_current_wal_insert_lsn()), 0) || 'any';`,
      },
    ],
  },
  {
    guarantee: 17,
    test: 1,
    name: 'restore-not-looked-for',
    what: 'a new connection is used before the remembered marks are looked for',
    patches: [
      {
        file: 'libs/prediction/events/notice-loss.ts',
        find: '      const { newest, isLost } = await look(remembered(recalled));',
        replace: '      const { newest, isLost } = await look(recalled === null ? remembered(recalled) : []);',
      },
    ],
  },
  {
    guarantee: 18,
    test: 1,
    name: 'commit-in-any-history',
    what: 'a chunk is committed in another history than that of its features',
    patches: [
      {
        file: 'libs/offline-store/runs/commit-chunk.ts',
        find: '  if (current.history !== run.history || current.history !== result.history) throw',
        replace: '  if (run.history !== result.history) throw',
      },
    ],
  },
  {
    guarantee: 19,
    name: 'any-redis-server',
    what: 'an unverified answer comes from any Redis server with the same count of erasures',
    patches: [
      {
        file: 'libs/freshness/unverified-read.ts',
        find: 'told === null || told.serverId !== serverId) return null;',
        replace: 'told === null || (serverId === null && told.serverId !== serverId)) return null;',
      },
    ],
  },
  {
    guarantee: 20,
    name: 'queue-trusted',
    what: 'the reconciler does not enqueue the chunks of a run that has started',
    patches: [
      {
        file: 'libs/prediction/runs/reconcile.ts',
        find: '  for (const run of runs) chunks += await hintAtNext(dependencies, run);',
        replace: `  for (const run of runs) if (run.state !== 'running') chunks += await hintAtNext(dependencies, run);`,
      },
    ],
  },
  {
    guarantee: 21,
    name: 'run-of-each-scheduler',
    what: 'each scheduler takes the run of a slot for its own',
    patches: [
      {
        file: 'libs/offline-store/runs/runs.ts',
        find: 'await requireRun(db, known), created: false };',
        replace: 'await requireRun(db, known), created: true };',
      },
    ],
  },
  {
    guarantee: 22,
    test: 1,
    name: 'scored-users-returned',
    what: 'a worker that splits a chunk returns also the users that it has scored',
    patches: [
      {
        file: 'libs/prediction/runs/score-chunk.ts',
        find: `userIds: left.map((row) => userIds[row] ?? ''), chunkSize`,
        replace: 'userIds, chunkSize',
      },
    ],
  },
  {
    guarantee: 23,
    name: 'commit-without-fence',
    what: 'control M7: a worker commits a chunk that another worker has taken over',
    patches: [
      {
        file: 'libs/offline-store/runs/commit-chunk.ts',
        find: `where run_id = $1 and no = $2 and fence = $3 and state = 'claimed' returning no`,
        replace: `where run_id = $1 and no = $2 and fence >= $3 and state = 'claimed' returning no`,
      },
    ],
  },
  {
    guarantee: 24,
    name: 'poison-not-alone',
    what: 'the halving of a failing batch ends with two users, of whom one is healthy',
    patches: [
      {
        file: 'libs/prediction/scoring/isolate-poison.ts',
        find: '    if (part.length === 1) giveUp',
        replace: '    if (part.length <= 2) giveUp',
      },
    ],
  },
  {
    guarantee: 25,
    name: 'late-kill',
    what: 'a child that hangs is killed ten seconds after the deadline, not one',
    patches: [
      {
        file: 'libs/inference/live/pool.ts',
        find: 'killGraceMs: options.killGraceMs ?? 1_000',
        replace: 'killGraceMs: options.killGraceMs ?? 10_000',
      },
    ],
  },
  {
    guarantee: 26,
    name: 'no-retry-after',
    what: 'a live read that is rejected has no Retry-After',
    patches: [
      {
        file: 'libs/freshness/ladder.ts',
        find: `    retryAfter: 1,
    remedy: \`\${first};`,
        replace: `    remedy: \`\${first};`,
      },
    ],
  },
  {
    guarantee: 27,
    name: 'rollback-leaves-floor',
    what: 'control M3: a rollback does not raise the overlay floor',
    patches: [
      {
        file: 'libs/offline-store/generations/generations.ts',
        find: 'raiseFloor: true, restartExpiry: true',
        replace: 'raiseFloor: false, restartExpiry: true',
      },
    ],
  },
  {
    guarantee: 28,
    name: 'base-outdated-with-upper',
    what: 'a row of the base is outdated if the generation above it is',
    patches: [
      {
        file: 'libs/freshness/judge.ts',
        find: 'layerOf(generation, candidate.generationId)?.isOutdated === true;',
        replace: 'generation !== null && generation.isOutdated;',
      },
    ],
  },
  {
    guarantee: 28,
    test: 1,
    name: 'base-of-partial-bucket',
    what: 'a row of the base answers although Redis may lack a row above it',
    patches: [
      {
        file: 'libs/online-store/predictions.ts',
        find: `  if (base === null || replyAt(reply, 0)?.toString('latin1') !== IS_WHOLE) return null;`,
        replace: `  if (base === null || (reply === null && IS_WHOLE !== '')) return null;`,
      },
    ],
  },
  {
    guarantee: 29,
    name: 'failed-load-counts',
    what: 'an API that has failed to load a version does not delay its rollout',
    patches: [
      {
        file: 'libs/prediction/rollouts/processes.ts',
        find: `kind === 'api' && state !== 'ready');`,
        replace: `kind === 'api' && state === 'loading');`,
      },
    ],
  },
  {
    guarantee: 30,
    name: 'arms-for-a-second',
    what: 'control R1: a process asks for its arms once a second, so an aborted arm keeps its users meanwhile',
    patches: [
      {
        file: 'libs/offline-store/certificate/authority.ts',
        find: `  let known: Known = {
`,
        replace: `  let armsAt = Number.NEGATIVE_INFINITY;
  let known: Known = {
`,
      },
      {
        file: 'libs/offline-store/certificate/authority.ts',
        find: `      const arms = armsOf(row, told.arms);
`,
        replace: `      const isRecent = told.arms !== NO_ARMS && performance.now() - armsAt < 1_000;
      const arms = isRecent ? told.arms : armsOf(row, told.arms);
      if (!isRecent) armsAt = performance.now();
`,
      },
    ],
  },
  {
    guarantee: 31,
    name: 'worse-canary-noted',
    what: 'a canary that is proven worse only gets a note',
    patches: [
      {
        file: 'libs/prediction/rollouts/analyse-rollouts.ts',
        find: '({ rollouts }) => rollouts.abort(id, change);',
        replace: '({ rollouts }) => rollouts.note(id, change.reason);',
      },
    ],
  },
  {
    guarantee: 32,
    name: 'erasure-leaves-redis',
    what: 'an erasure deletes nothing from Redis',
    patches: [
      {
        file: 'libs/prediction/erasure/erase-user.ts',
        find: 'online.forget([userId], locations)',
        replace: 'online.forget([], locations)',
      },
    ],
  },
  {
    guarantee: 32,
    test: 1,
    name: 'blocked-servable',
    what: 'after a readmission, a prediction from before the erasure is served as stale',
    patches: [
      {
        file: 'libs/freshness/judge.ts',
        find: `  return state === 'stale' || state === 'expired';`,
        replace: `  return state !== 'foreign' && !isFresh(state);`,
      },
    ],
  },
  {
    guarantee: 33,
    name: 'outcome-by-time',
    what: 'an outcome with a known id is accepted again at another time',
    patches: [
      {
        file: 'migrations/0015_exposures_and_outcomes.sql',
        find: `  primary key (source, id)
);
create index outcomes_in_time`,
        replace: `  primary key (source, id, accepted_at)
);
create index outcomes_in_time`,
      },
    ],
  },
  {
    guarantee: 34,
    name: 'idle-destroyed',
    what: 'a draining server closes connections that look idle at once',
    patches: [
      {
        file: 'libs/http-server/server-drain.ts',
        find: '      if (last && !last.headersSent) closeBehind(last, socket);',
        replace: `      if (last && !last.headersSent) closeBehind(last, socket);
      else socket.destroy();`,
      },
    ],
  },
  {
    guarantee: 35,
    name: 'patient-migration',
    what: 'a migration waits for its lock without a limit, and other statements wait behind it',
    patches: [
      {
        file: 'migrations/0011_count_of_erasures.sql',
        find: `set local lock_timeout = '100ms';
`,
        replace: '',
      },
    ],
  },
  {
    guarantee: 36,
    name: 'key-stored-in-clear',
    what: 'an API key is stored as its text, not as its digest',
    patches: [
      {
        file: 'libs/offline-store/api-keys.ts',
        find: 'insertUnlessFull(db, id, key, { digest: digestOf(text, pepper), pepperId',
        replace: 'insertUnlessFull(db, id, key, { digest: Buffer.from(text), pepperId',
      },
    ],
  },
  {
    guarantee: 36,
    test: 1,
    name: 'key-in-log',
    what: 'the secret of an API key in a path is logged',
    patches: [
      {
        file: 'libs/telemetry/log.ts',
        find: `    .replace(/\\b(tandem_(?:live|test)_[0-9a-f]{16})_[0-9a-z_]+/gi, \`$1_\${MASK}\`)
`,
        replace: '',
      },
    ],
  },
  {
    guarantee: 37,
    name: 'idle-worker-healthy',
    what: 'a worker without a running job is never dead',
    patches: [
      {
        file: 'libs/queue/stalled-worker.ts',
        find: 'heldFor(idleSince, jobClass, running < concurrency &&',
        replace: 'heldFor(idleSince, jobClass, running > 0 && running < concurrency &&',
      },
    ],
  },
  {
    guarantee: 38,
    name: 'first-server-kept',
    what: 'a server that refuses connections stays the presumed primary',
    patches: [
      {
        file: 'libs/offline-store/sql/primary-pool.ts',
        find: `        if (isBroken(error)) servers.leave(this.address, error);
        (done as`,
        replace: '        (done as',
      },
    ],
  },
  {
    guarantee: 39,
    name: 'settings-of-others',
    what: 'a transaction on a session that a pooler lends does not make its settings',
    patches: [
      {
        file: 'libs/offline-store/sql/session-settings.ts',
        find: `\`\${begin === 'begin' ? BEGIN : begin}; \${frame.local}\``,
        replace: `\`\${begin === 'begin' ? BEGIN : begin}\``,
      },
    ],
  },
  {
    guarantee: 40,
    name: 'restart-continues-history',
    what: 'without a timeline, the start time of Postgres is not part of the history',
    patches: [
      {
        file: 'migrations/0058_history_of_managed_servers.sql',
        find: 'started := extract(epoch from pg_postmaster_start_time())::text;',
        replace: `started := 'unknown';`,
      },
    ],
  },
];
