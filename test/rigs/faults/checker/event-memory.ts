/**
 * Remembers every sent event in about 40 bytes: its user, the count in its row, and its acknowledged context version.
 * Ids are stored as 64-bit hashes. Among a million ids, two collide in one of 30 million runs.
 */
export const NOT_ACKNOWLEDGED = 0;

export interface EventMemory {
  readonly size: number;
  /** Returns the place of an event, and creates it if there is none. */
  place(id: string): number;
  /** Returns the place of an event; -1 if no event with that id was sent. */
  find(id: string): number;
  describe(place: number, user: number, score: number): void;
  /** Returns the user of an event; -1 before the event was described. */
  user(place: number): number;
  score(place: number): number;
  version(place: number): number;
  /** Returns the event with that version of the user; -1 if no event is acknowledged with it. */
  holder(user: number, version: number): number;
  acknowledge(place: number, version: number): void;
  /** Sets one of 8 marks; returns true if the place did not have it. */
  mark(place: number, mark: number): boolean;
  isMarked(place: number, mark: number): boolean;
  /** Removes the mark from every place. */
  unmark(mark: number): void;
  forget(): void;
}

const FIRST_SIZE = 4_096;

export function createEventMemory(): EventMemory {
  let columns = createColumns(FIRST_SIZE);
  let size = 0;
  /** A hash table with open addressing, twice as long as the columns; an entry is a place + 1. */
  let byId = new Int32Array(FIRST_SIZE * 2);
  let byVersion = new Int32Array(FIRST_SIZE * 2);

  function slotOfId(low: number, high: number): number {
    const mask = byId.length - 1;
    let slot = low & mask;
    for (;;) {
      const place = (byId[slot] as number) - 1;
      if (place < 0 || (columns.low[place] === low && columns.high[place] === high)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  function slotOfVersion(user: number, version: number): number {
    const mask = byVersion.length - 1;
    let slot = mix(user, version) & mask;
    for (;;) {
      const place = (byVersion[slot] as number) - 1;
      if (place < 0 || (columns.user[place] === user && columns.version[place] === version)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  function grow(): void {
    columns = grownColumns(columns);
    byId = new Int32Array(byId.length * 2);
    byVersion = new Int32Array(byVersion.length * 2);
    for (let place = 0; place < size; place++) {
      byId[slotOfId(columns.low[place] as number, columns.high[place] as number)] = place + 1;
      const version = columns.version[place] as number;
      if (version !== NOT_ACKNOWLEDGED) byVersion[slotOfVersion(columns.user[place] as number, version)] = place + 1;
    }
  }

  return {
    get size() {
      return size;
    },
    place(id) {
      const [low, high] = hash(id);
      const known = (byId[slotOfId(low, high)] as number) - 1;
      if (known >= 0) return known;
      if (size === columns.low.length) grow();
      columns.low[size] = low;
      columns.high[size] = high;
      columns.user[size] = -1;
      byId[slotOfId(low, high)] = size + 1;
      return size++;
    },
    find(id) {
      const [low, high] = hash(id);
      return (byId[slotOfId(low, high)] as number) - 1;
    },
    describe(place, user, score) {
      columns.user[place] = user;
      columns.score[place] = score;
    },
    user: (place) => columns.user[place] as number,
    score: (place) => columns.score[place] as number,
    version: (place) => columns.version[place] as number,
    holder: (user, version) => (byVersion[slotOfVersion(user, version)] as number) - 1,
    acknowledge(place, version) {
      columns.version[place] = version;
      byVersion[slotOfVersion(columns.user[place] as number, version)] = place + 1;
    },
    mark(place, mark) {
      const isNew = ((columns.marks[place] as number) & mark) === 0;
      columns.marks[place] = (columns.marks[place] as number) | mark;
      return isNew;
    },
    isMarked: (place, mark) => ((columns.marks[place] as number) & mark) !== 0,
    unmark(mark) {
      for (let place = 0; place < size; place++) columns.marks[place] = (columns.marks[place] as number) & ~mark;
    },
    forget() {
      columns = createColumns(FIRST_SIZE);
      size = 0;
      byId = new Int32Array(FIRST_SIZE * 2);
      byVersion = new Int32Array(FIRST_SIZE * 2);
    },
  };
}

interface Columns {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly user: Int32Array;
  readonly score: Int32Array;
  readonly version: Int32Array;
  readonly marks: Uint8Array;
}

function createColumns(size: number): Columns {
  return {
    low: new Int32Array(size),
    high: new Int32Array(size),
    user: new Int32Array(size),
    score: new Int32Array(size),
    version: new Int32Array(size),
    marks: new Uint8Array(size),
  };
}

function grownColumns(old: Columns): Columns {
  const columns = createColumns(old.low.length * 2);
  for (const name of ['low', 'high', 'user', 'score', 'version', 'marks'] as const) columns[name].set(old[name]);
  return columns;
}

/** Hashes a text in two independent 32-bit lanes over its UTF-16 units, each finished as MurmurHash3 does. */
function hash(text: string): readonly [low: number, high: number] {
  let low = 0x9e3779b9 | 0;
  let high = 0x85ebca6b | 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x9e3779b1);
    high = Math.imul(high ^ unit, 0x5f356495);
    // Multiplication moves bits only upwards.
    low ^= low >>> 15;
    high ^= high >>> 13;
  }
  return [finish(low), finish(high)];
}

function mix(user: number, version: number): number {
  return finish(Math.imul(user, 0x9e3779b1) ^ Math.imul(version, 0x85ebca6b));
}

function finish(bits: number): number {
  let mixed = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
