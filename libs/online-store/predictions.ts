/**
 * Finds candidates in one round trip: the finds of one turn of the event loop go out in a single write, with one HMGET
 * for each bucket and one MGET for all overlay entries.
 *
 * MGET spans users, so this is for a single server; a cluster needs one a slot.
 */
import type { Assignment } from '@tandem/prediction/certificate';
import type { Candidates, OnlinePredictions, StoredPrediction } from '@tandem/prediction/stored-prediction';
import { isRefusal, type OnlineConnection, type OnlineLog, unavailable } from './connection.ts';
import { bucketOf, createKeys, type Keys, type Place, placeOf } from './keys.ts';
import { decodeGenerationValue, decodeOverlayEntry } from './stored-value.ts';
import { type CommandLike, command } from './write-together.ts';

export interface OnlinePredictionsDependencies {
  readonly connection: OnlineConnection;
  readonly log: OnlineLog;
  readonly prefix?: string;
}

/** One find, and where in the batch its users' replies lie. */
interface Ask {
  readonly assignment: Assignment;
  readonly userIds: readonly string[];
  readonly places: readonly Place[];
  /** Of each user: the number of its HMGET, and its position in that. Empty without a generation. */
  readonly commandOf: number[];
  readonly positionOf: number[];
  readonly firstOverlay: number;
  readonly resolve: (candidates: Candidates) => void;
  readonly reject: (error: unknown) => void;
}

interface Batch {
  readonly asks: Ask[];
  readonly commands: CommandLike[];
  readonly overlayKeys: string[];
}

/** A longer MGET would hold up the server's other clients. */
const MAX_KEYS_AN_MGET = 1_000;

/** `find` rejects `unavailable` within the connection's command timeout where Redis does not answer. */
export function createOnlinePredictions(dependencies: OnlinePredictionsDependencies): OnlinePredictions {
  const { connection, log, prefix } = dependencies;
  const keys = createKeys(prefix);
  const refusals = new Set<string>();
  let batch: Batch | null = null;

  function flush(): void {
    if (!batch) return;
    const { asks, commands, overlayKeys } = batch;
    batch = null;
    const firstMget = commands.length;
    for (let i = 0; i < overlayKeys.length; i += MAX_KEYS_AN_MGET) {
      const isAll = overlayKeys.length <= MAX_KEYS_AN_MGET;
      commands.push(command('mget', isAll ? overlayKeys : overlayKeys.slice(i, i + MAX_KEYS_AN_MGET)));
    }
    connection.send(commands).then(
      (replies) => {
        for (const reply of replies) if (isRefusal(reply)) noticeRefusal(reply);
        for (const ask of asks) ask.resolve(candidatesOf(ask, replies, firstMget));
      },
      (error: unknown) => {
        for (const ask of asks) ask.reject(error);
      },
    );
  }

  /** A refused command is a missing candidate, but ops should know; once for each kind. */
  function noticeRefusal(error: Error): void {
    const kind = error.message.split(' ', 1)[0] ?? '';
    if (refusals.has(kind) || refusals.size >= 32) return;
    refusals.add(kind);
    log('online_store.read_refused', { error: error.message });
  }

  return {
    serverId: connection.serverId,
    find(assignment, userIds) {
      if (!connection.isOpen()) return Promise.reject(unavailable('it is not connected, or hangs'));
      return new Promise<Candidates>((resolve, reject) => {
        if (!batch) {
          batch = { asks: [], commands: [], overlayKeys: [] };
          // Once a turn of the event loop: requests parsed from the same wake-up share the write.
          setImmediate(flush);
        }
        const firstOverlay = batch.overlayKeys.length;
        const places = userIds.map(placeOf);
        const ask = { assignment, userIds, places, commandOf: [], positionOf: [], firstOverlay, resolve, reject };
        batch.asks.push(ask);
        for (const place of places) batch.overlayKeys.push(keys.overlay(place, assignment.predictor));
        addBuckets(batch.commands, ask, keys);
      });
    },
  };
}

/** Adds one HMGET for each bucket that holds a user of the find. */
function addBuckets(commands: CommandLike[], ask: Ask, keys: Keys): void {
  const { generation } = ask.assignment;
  if (generation === null) return;
  const groups = new Map<number, { readonly no: number; readonly args: string[] }>();
  for (const { hash, field } of ask.places) {
    const bucket = bucketOf(hash, generation.buckets);
    let group = groups.get(bucket);
    if (!group) {
      group = { no: commands.length + groups.size, args: [keys.bucket(generation.id, bucket)] };
      groups.set(bucket, group);
    }
    ask.commandOf.push(group.no);
    ask.positionOf.push(group.args.length - 1);
    group.args.push(field);
  }
  for (const { args } of groups.values()) commands.push(command('hmget', args));
}

function candidatesOf(ask: Ask, replies: readonly unknown[], firstMget: number): Candidates {
  const { assignment, userIds, places, firstOverlay } = ask;
  const candidates = new Map<string, readonly StoredPrediction[]>();
  for (let i = 0; i < places.length; i++) {
    const { hash } = places[i] as Place;
    const overlayNo = firstOverlay + i;
    const value = replyAt(replies[ask.commandOf[i] ?? -1], ask.positionOf[i] ?? 0);
    const entry = replyAt(replies[firstMget + Math.floor(overlayNo / MAX_KEYS_AN_MGET)], overlayNo % MAX_KEYS_AN_MGET);
    const stored =
      value && assignment.generation
        ? decodeGenerationValue(value, assignment.generation, assignment.modelVersionId, hash)
        : null;
    const overlaid = entry && decodeOverlayEntry(entry, hash);
    if (stored) candidates.set(userIds[i] as string, overlaid ? [stored, overlaid] : [stored]);
    else if (overlaid) candidates.set(userIds[i] as string, [overlaid]);
  }
  return candidates;
}

function replyAt(reply: unknown, position: number): Buffer | null {
  if (!Array.isArray(reply)) return null;
  const value: unknown = reply[position];
  return Buffer.isBuffer(value) ? value : null;
}
