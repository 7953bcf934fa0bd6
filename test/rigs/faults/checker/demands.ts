/**
 * The facts known about each user at each moment of the recent past: the highest context version, and the highest count
 * in an acknowledged event. A read must not be answered from older facts than those known when the read began.
 *
 * A read is judged when it has ended, by the knowledge at its beginning. So each raise is kept for a window. The raises of all
 * users are in one ring, in the order of time; a raise that leaves the window becomes the base of its user. A raise costs 24
 * bytes while it is in the window. A user costs 20 bytes until the end.
 */
export interface Demand {
  version: number;
  score: number;
}

export interface Demands {
  /** Sets the known value from `ended` on; lower values change nothing. */
  raise(user: number, ended: number, version: number, score: number): void;
  /** Sets the known value from `ended` on, also to lower values. */
  replace(user: number, ended: number, version: number, score: number): void;
  /** Fills `demand` with the facts known before `at`. Returns false if `at` is before the window. */
  find(user: number, at: number, demand: Demand): boolean;
  /** Forgets the values of all users. */
  forget(): void;
}

/** @param windowMs the age of the oldest moment that can be looked up, counted from the newest raise */
export function createDemands(windowMs: number): Demands {
  let users = createBases(1_024);
  let ring = createRing(4_096);
  /** Raises are numbered; those from `head` to `tail - 1` are in the ring. */
  let head = 0;
  let tail = 0;

  function expire(before: number): void {
    while (head < tail) {
      const slot = head & ring.mask;
      const ended = ring.ended[slot] as number;
      if (ended >= before) return;
      const user = ring.user[slot] as number;
      users.ended[user] = ended;
      users.version[user] = ring.version[slot] as number;
      users.score[user] = ring.score[slot] as number;
      head++;
    }
  }

  function push(user: number, ended: number, version: number, score: number): void {
    if (tail - head > ring.mask) ring = grownRing(ring, head, tail);
    const slot = tail & ring.mask;
    ring.user[slot] = user;
    ring.ended[slot] = ended;
    ring.version[slot] = version;
    ring.score[slot] = score;
    ring.older[slot] = users.newest[user] as number;
    users.newest[user] = tail++;
  }

  return {
    raise(user, ended, version, score) {
      if (user >= users.newest.length) users = grownBases(users, user);
      expire(ended - windowMs);
      const newest = users.newest[user] as number;
      const isKept = newest >= head;
      const slot = newest & ring.mask;
      const knownVersion = (isKept ? ring.version[slot] : users.version[user]) as number;
      const knownScore = (isKept ? ring.score[slot] : users.score[user]) as number;
      if (version <= knownVersion && score <= knownScore) return;
      // Lines of several processes may be slightly out of order. Taking the later moment demands less.
      const since = Math.max(ended, (isKept ? ring.ended[slot] : users.ended[user]) as number);
      push(user, since, Math.max(version, knownVersion), Math.max(score, knownScore));
    },
    replace(user, ended, version, score) {
      if (user >= users.newest.length) users = grownBases(users, user);
      expire(ended - windowMs);
      push(user, ended, version, score);
    },
    find(user, at, demand) {
      demand.version = 0;
      demand.score = 0;
      if (user >= users.newest.length) return true;
      let one = users.newest[user] as number;
      while (one >= head) {
        const slot = one & ring.mask;
        if ((ring.ended[slot] as number) < at) {
          demand.version = ring.version[slot] as number;
          demand.score = ring.score[slot] as number;
          return true;
        }
        one = ring.older[slot] as number;
      }
      if ((users.ended[user] as number) >= at) return false;
      demand.version = users.version[user] as number;
      demand.score = users.score[user] as number;
      return true;
    },
    forget() {
      users = createBases(users.newest.length);
      head = tail;
    },
  };
}

/** The number of each user's newest raise, and the facts known when the window began. */
interface Bases {
  readonly newest: Int32Array;
  readonly ended: Float64Array;
  readonly version: Int32Array;
  readonly score: Int32Array;
}

function createBases(size: number): Bases {
  return {
    newest: new Int32Array(size).fill(-1),
    ended: new Float64Array(size).fill(Number.NEGATIVE_INFINITY),
    version: new Int32Array(size),
    score: new Int32Array(size),
  };
}

function grownBases(old: Bases, user: number): Bases {
  const bases = createBases(Math.max(old.newest.length * 2, user + 1));
  bases.newest.set(old.newest);
  bases.ended.set(old.ended);
  bases.version.set(old.version);
  bases.score.set(old.score);
  return bases;
}

interface Ring {
  readonly mask: number;
  readonly user: Int32Array;
  readonly ended: Float64Array;
  readonly version: Int32Array;
  readonly score: Int32Array;
  /** The number of the same user's previous raise; -1 for none. */
  readonly older: Int32Array;
}

/** @param size a power of two */
function createRing(size: number): Ring {
  return {
    mask: size - 1,
    user: new Int32Array(size),
    ended: new Float64Array(size),
    version: new Int32Array(size),
    score: new Int32Array(size),
    older: new Int32Array(size),
  };
}

function grownRing(old: Ring, head: number, tail: number): Ring {
  const ring = createRing((old.mask + 1) * 2);
  for (let one = head; one < tail; one++) {
    const from = one & old.mask;
    const to = one & ring.mask;
    ring.user[to] = old.user[from] as number;
    ring.ended[to] = old.ended[from] as number;
    ring.version[to] = old.version[from] as number;
    ring.score[to] = old.score[from] as number;
    ring.older[to] = old.older[from] as number;
  }
  return ring;
}
