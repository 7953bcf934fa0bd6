/**
 * The refresh queue: users that events made stale, in the memory of one worker, until they are re-scored. It holds
 * users without versions, since a certificate decides whether a user is still stale. It is declared lossy: users that
 * exceed its size or wait too long are dropped and counted, and a process that ends loses its queue. Each lost user
 * costs one live read.
 */

/** A waiting user. */
export interface StaleUser {
  readonly userId: string;
  /** The arrival of the first unprocessed event, on the queue's clock. */
  readonly at: number;
  /** The earliest time to take the user. */
  dueAt: number;
  /** The likelihood of a read; undefined until the user's count is known. */
  weight: number | undefined;
}

interface RefreshQueueOptions {
  /** The maximum number of waiting users. */
  readonly most?: number;
  /** The milliseconds from an event until the user may be taken. Later events in this time share the inference. */
  delayMs(): number;
  /** Receives dropped users: the queue was `full`, or they waited too long (`late`). */
  onDropped(users: number, why: 'full' | 'late'): void;
  /** A clock in milliseconds that only rises. */
  now(): number;
}

/** The default maximum of waiting users, of about 200 bytes each. */
const MOST = 20_000;
/** The time after which a due user is dropped. By then the user was most likely read, or will not be read. */
const LATE_MS = 60_000;

export class RefreshQueue {
  readonly #options: RefreshQueueOptions;
  readonly #most: number;
  readonly #users = new Map<string, StaleUser>();

  constructor(options: RefreshQueueOptions) {
    this.#options = options;
    this.#most = options.most ?? MOST;
  }

  get size(): number {
    return this.#users.size;
  }

  /** Returns for how long the first user has waited, in ms; 0 if none waits. */
  oldestMs(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const { at } of this.#users.values()) first = Math.min(first, at);
    return this.#users.size === 0 ? 0 : Math.max(0, this.#options.now() - first);
  }

  /** Adds a user. A user that already waits keeps its place. */
  add(userId: string, ageMs: number): void {
    if (this.#users.has(userId)) return;
    if (this.#users.size >= this.#most) {
      this.#options.onDropped(1, 'full');
      return;
    }
    const at = this.#options.now() - ageMs;
    this.#users.set(userId, { userId, at, dueAt: at + this.#options.delayMs(), weight: undefined });
  }

  /** Puts a taken user back, due at `dueAt`, even if a later event has added the user again. */
  putBack({ userId, at, weight }: StaleUser, dueAt: number): void {
    this.#users.set(userId, { userId, at, dueAt, weight });
  }

  /** Returns up to `most` users without a weight. */
  unweighed(most: number): StaleUser[] {
    const found: StaleUser[] = [];
    for (const user of this.#users.values()) {
      if (found.length === most) break;
      if (user.weight === undefined) found.push(user);
    }
    return found;
  }

  /**
   * Takes up to this many due users. The users that are most likely to be read come first; among equals, the longest
   * waiting. Half of the queue's room stays free for new users, so that users that are rarely read do not block others.
   */
  takeDue(most: number): StaleUser[] {
    const now = this.#options.now();
    const due: StaleUser[] = [];
    for (const user of this.#users.values()) if (user.dueAt <= now) due.push(user);
    const inTime = due.filter((user) => !isLate(user, now));
    const taken = inTime.sort(byLikelihood).slice(0, most);
    const crowded = inTime.slice(Math.max(most, Math.floor(this.#most / 2)));
    for (const { userId } of [...taken, ...crowded]) this.#users.delete(userId);
    for (const user of due) if (isLate(user, now)) this.#users.delete(user.userId);
    if (crowded.length > 0) this.#options.onDropped(crowded.length, 'full');
    if (inTime.length < due.length) this.#options.onDropped(due.length - inTime.length, 'late');
    return taken;
  }
}

function isLate({ dueAt }: StaleUser, now: number): boolean {
  return now - dueAt > LATE_MS;
}

function byLikelihood(one: StaleUser, other: StaleUser): number {
  return (other.weight ?? 0) - (one.weight ?? 0) || one.at - other.at;
}
