/**
 * What a proxy may do to the connections that pass through it, in the words of toxiproxy
 * (https://github.com/Shopify/toxiproxy#toxics). Two are not as there: `timeout` holds data back instead of dropping them,
 * since a TCP connection whose partition heals delivers what was sent meanwhile; `half_open` is our own.
 */

/** Milliseconds unless it says otherwise. */
export type Toxic =
  /** Everything arrives that much later, plus or minus up to `jitter`. Order is kept. */
  | { readonly type: 'latency'; readonly latency: number; readonly jitter?: number }
  /** Kilobytes a second. */
  | { readonly type: 'bandwidth'; readonly rate: number }
  /** The end of the stream is passed on that much later. */
  | { readonly type: 'slow_close'; readonly delay: number }
  /** A black hole: nothing gets through, and after `timeout` the connection ends; 0: it stays until this is lifted. */
  | { readonly type: 'timeout'; readonly timeout: number }
  /** The connection is reset (RST) after that time. */
  | { readonly type: 'reset_peer'; readonly timeout: number }
  /** Bytes arrive in slices of about `averageSize`, with a pause of so many microseconds between them. */
  | {
      readonly type: 'slicer';
      readonly averageSize: number;
      readonly sizeVariation?: number;
      readonly delayUs?: number;
    }
  /** The connection ends after so many bytes. */
  | { readonly type: 'limit_data'; readonly bytes: number }
  /** The server's side vanishes without a word: the client's socket stays open, and nothing ever comes. */
  | { readonly type: 'half_open' };

export type ToxicType = Toxic['type'];

/** `upstream`: from the client to the server; `downstream`: what the server sends. */
export type Direction = 'upstream' | 'downstream';

export interface Dose {
  /** Default: both. Toxics of the whole connection (`timeout`, `reset_peer`, `half_open`) have no direction. */
  readonly direction?: Direction;
  /** The share of connections that have it, 0 to 1; which ones is decided by the seed. Default: 1. */
  readonly toxicity?: number;
  /** Only the connection of this number. */
  readonly connection?: number;
}

export interface Poisoning extends Dose {
  readonly id: number;
  readonly toxic: Toxic;
}

/** The toxics of a proxy, changeable at any time; waiting streams are notified of each change. */
export interface ToxicSet {
  readonly all: readonly Poisoning[];
  add(toxic: Toxic, dose?: Dose): { remove(): void };
  clear(): void;
  onChange(listener: () => void): () => void;
}

export function createToxicSet(): ToxicSet {
  let all: readonly Poisoning[] = [];
  let lastId = 0;
  const listeners = new Set<() => void>();

  function set(changed: readonly Poisoning[]): void {
    all = changed;
    for (const listener of [...listeners]) listener();
  }

  return {
    get all() {
      return all;
    },
    add(toxic, dose = {}) {
      const id = ++lastId;
      set([...all, { id, toxic, ...dose }]);
      return { remove: () => set(all.filter((one) => one.id !== id)) };
    },
    clear: () => set([]),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** Finds the toxic of that type, the last added first. */
export function find<T extends ToxicType>(
  toxics: readonly Poisoning[],
  type: T,
): (Poisoning & { toxic: Extract<Toxic, { type: T }> }) | undefined {
  return toxics.findLast((one) => one.toxic.type === type) as
    | (Poisoning & { toxic: Extract<Toxic, { type: T }> })
    | undefined;
}
