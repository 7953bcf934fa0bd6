/**
 * Finds candidates in one round trip. Concurrent finds are sent in a single write, with one HMGET for each bucket and
 * one MGET for all overlay entries. For a generation with a base, the buckets of both are read together.
 *
 * In a cluster, all keys of a command have the same hash tag, so each overlay entry needs an MGET.
 */
import type { Assignment, GenerationLayer } from '@tandem/freshness/certificate';
import { createStatementBatcher } from '@tandem/freshness/statement-line';
import type { Candidates, OnlinePredictions, StoredPrediction } from '@tandem/freshness/stored-prediction';
import { type OnlineLog, type StoreDependencies, unavailable } from './connection.ts';
import { bucketOf, createKeys, IS_WHOLE, type Keys, type UserKey, userKeyOf, WHOLE_FIELD } from './keys.ts';
import { isRefusal, type Lookup } from './pipelined-commands.ts';
import { decodeGenerationValue, decodeOverlayEntry } from './stored-value.ts';
import { createCount } from './told-counts.ts';

interface OnlinePredictionsDependencies extends StoreDependencies {
  readonly log: OnlineLog;
}

/** One lookup and the positions of its users' replies in the batch. */
interface Ask {
  readonly assignment: Assignment;
  readonly userIds: readonly string[];
  readonly users: readonly UserKey[];
  // Set when the find is sent; null without a generation, or without a base.
  own: Lookups | null;
  base: Lookups | null;
  firstOverlay: number;
}

/** The HMGETs of one layer: for each user of a find, the number of the command, and the user's position in it. */
type Lookups = ReturnType<typeof addBuckets>;

/** The replies to all lookups of a write. */
interface Replies {
  readonly all: readonly unknown[];
  readonly firstMget: number;
  readonly keysAnMget: number;
}

/** The most keys of an MGET. A longer one would delay the server's other clients. */
const MAX_KEYS_AN_MGET = 1_000;
/** The most users in one write, whose replies are decoded in a few ms. */
const MAX_USERS = 500;
/** The number of users from which a find counts as large, so that finds of few users do not wait for it. */
const LARGE_FROM = 50;
/**
 * The longest time in ms that lookups wait for others while Redis answers earlier ones, since a write costs as much as
 * several lookups.
 */
const PATIENCE_MS = 1;

/**
 * Creates the port for predictions in Redis. If Redis does not answer, `find` rejects with `unavailable` within the
 * connection's command timeout.
 */
export function createOnlinePredictions(dependencies: OnlinePredictionsDependencies): OnlinePredictions {
  const { connection, log, prefix } = dependencies;
  const keys = createKeys(prefix);
  const keysAnMget = connection.isCluster ? 1 : MAX_KEYS_AN_MGET;
  const refusals = new Set<string>();

  async function send(asks: readonly Ask[]): Promise<Replies> {
    const lookups: Lookup[] = [];
    const overlayKeys: string[] = [];
    for (const ask of asks) {
      ask.firstOverlay = overlayKeys.length;
      for (const user of ask.users) overlayKeys.push(keys.overlay(user, ask.assignment.predictor));
      const { generation } = ask.assignment;
      ask.own = generation && addBuckets(lookups, ask.users, generation, keys, generation.base !== null);
      ask.base = generation?.base ? addBuckets(lookups, ask.users, generation.base, keys) : null;
    }
    const firstMget = lookups.length;
    for (let i = 0; i < overlayKeys.length; i += keysAnMget) {
      lookups.push(['mget', ...overlayKeys.slice(i, i + keysAnMget)]);
    }
    const all = await connection.ask(lookups);
    for (const reply of all) if (isRefusal(reply)) noticeRefusal(reply);
    return { all, firstMget, keysAnMget };
  }

  const together = createStatementBatcher<Ask, Replies>({
    send,
    // Each write is sent at once, so that no write waits for a hanging write. Redis answers the writes in order.
    maxInFlight: Number.POSITIVE_INFINITY,
    maxWeight: MAX_USERS,
    largeFrom: LARGE_FROM,
    weigh: ({ userIds }) => userIds.length,
    patienceMs: PATIENCE_MS,
  });

  /** Logs a refused command, once for each kind. Its candidates are missing. */
  function noticeRefusal(error: Error): void {
    const kind = error.message.split(' ', 1)[0] ?? '';
    if (refusals.has(kind) || refusals.size >= 32) return;
    refusals.add(kind);
    log('online_store.read_refused', { error: error.message });
  }

  return {
    // Unverified answers depend on the identity of the server.
    serverId: () => (connection.isCluster ? null : connection.serverId()),
    toldOfErasures: createCount('erasures', dependencies).told,
    toldOfWithdrawals: createCount('withdrawals', dependencies).told,
    async find(assignment, userIds) {
      if (!connection.isOpen()) throw unavailable('it is not connected, or hangs');
      // A find of no users sends no lookup, so no reply would end it.
      if (userIds.length === 0) return new Map();
      const users = userIds.map(userKeyOf);
      const ask: Ask = { assignment, userIds, users, own: null, base: null, firstOverlay: 0 };
      return candidatesOf(ask, await together(ask));
    },
  };
}

/**
 * Adds one HMGET for each bucket of a layer with a user of the find.
 * @param isBased whether each HMGET begins with the field that tells whether the bucket is whole
 */
function addBuckets(lookups: Lookup[], users: readonly UserKey[], layer: GenerationLayer, keys: Keys, isBased = false) {
  const [commandOf, positionOf]: [number[], number[]] = [[], []];
  const commands = new Map<number, { readonly no: number; readonly args: string[] }>();
  for (const { hash, field } of users) {
    const bucket = bucketOf(hash, layer.buckets);
    let command = commands.get(bucket);
    if (command) command.args.push(field);
    else {
      // Most buckets have one user of the find. A literal takes less memory than an array that grows.
      const key = keys.bucket(layer.id, bucket);
      const args = isBased ? ['hmget', key, WHOLE_FIELD, field] : ['hmget', key, field];
      command = { no: lookups.push(args) - 1, args };
      commands.set(bucket, command);
    }
    commandOf.push(command.no);
    positionOf.push(command.args.length - 3);
  }
  return { layer, commandOf, positionOf };
}

function candidatesOf(ask: Ask, replies: Replies): Candidates {
  const { userIds, users, firstOverlay } = ask;
  const { all, firstMget, keysAnMget } = replies;
  const candidates = new Map<string, readonly StoredPrediction[]>();
  for (let i = 0; i < users.length; i++) {
    const { hash } = users[i] as UserKey;
    const overlayNo = firstOverlay + i;
    const entry = replyAt(all[firstMget + Math.floor(overlayNo / keysAnMget)], overlayNo % keysAnMget);
    const stored = storedIn(ask, replies, i);
    const overlaid = entry && decodeOverlayEntry(entry, hash);
    if (stored) candidates.set(userIds[i] as string, overlaid ? [stored, overlaid] : [stored]);
    else if (overlaid) candidates.set(userIds[i] as string, [overlaid]);
  }
  return candidates;
}

/**
 * Returns a user's row in the generation; or in its base, if the generation's bucket is whole and has no row of the
 * user.
 */
function storedIn({ assignment, users, own, base }: Ask, { all }: Replies, i: number): StoredPrediction | null {
  if (own === null) return null;
  const { hash } = users[i] as UserKey;
  const reply = all[own.commandOf[i] ?? -1];
  const value = replyAt(reply, own.positionOf[i] ?? 0);
  if (value) return decodeGenerationValue(value, own.layer, assignment.modelVersionId, hash);
  if (base === null || replyAt(reply, 0)?.toString('latin1') !== IS_WHOLE) return null;
  const below = replyAt(all[base.commandOf[i] ?? -1], base.positionOf[i] ?? 0);
  return below && decodeGenerationValue(below, base.layer, assignment.modelVersionId, hash);
}

function replyAt(reply: unknown, position: number): Buffer | null {
  if (!Array.isArray(reply)) return null;
  const value: unknown = reply[position];
  return Buffer.isBuffer(value) ? value : null;
}
