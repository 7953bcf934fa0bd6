/**
 * Toxics: the effects that a proxy can have on its connections, named as in toxiproxy
 * (https://github.com/Shopify/toxiproxy#toxics). There are two differences. `timeout` holds data back instead of
 * dropping them, because TCP delivers the data when a partition ends. `half_open` does not exist in toxiproxy.
 */

/** A toxic. Times are in milliseconds if not stated otherwise. */
export type Toxic =
  /** Delays all data by `latency`, plus or minus up to `jitter`. The order is kept. */
  | { readonly type: 'latency'; readonly latency: number; readonly jitter?: number }
  /** Limits the rate, in kilobytes per second. */
  | { readonly type: 'bandwidth'; readonly rate: number }
  /** Delays the end of the stream. */
  | { readonly type: 'slow_close'; readonly delay: number }
  /**
   * A black hole: no data pass. The connection ends after `timeout`, or with 0 stays open until the toxic is removed.
   */
  | { readonly type: 'timeout'; readonly timeout: number }
  /** Resets the connection (RST) after that time. */
  | { readonly type: 'reset_peer'; readonly timeout: number }
  /** Passes bytes in slices of about `averageSize`, with a pause of `delayUs` microseconds between slices. */
  | {
      readonly type: 'slicer';
      readonly averageSize: number;
      readonly sizeVariation?: number;
      readonly delayUs?: number;
    }
  /** Ends the connection after that many bytes. */
  | { readonly type: 'limit_data'; readonly bytes: number }
  /** Closes the server's side without a message to the client. The client's socket stays open and receives nothing. */
  | { readonly type: 'half_open' };

export type ToxicType = Toxic['type'];

/** `upstream`: from the client to the server; `downstream`: from the server to the client. */
export type Direction = 'upstream' | 'downstream';

export interface Dose {
  /** Default: both. Toxics of the whole connection (`timeout`, `reset_peer`, `half_open`) have no direction. */
  readonly direction?: Direction;
  /** The share of the connections that the toxic affects, from 0 to 1, chosen by the seed. Default: 1. */
  readonly toxicity?: number;
  /** The number of the only connection that the toxic affects. */
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

/** Returns the toxic of that type that was added last. */
export function find<T extends ToxicType>(
  toxics: readonly Poisoning[],
  type: T,
): (Poisoning & { toxic: Extract<Toxic, { type: T }> }) | undefined {
  return toxics.findLast((one) => one.toxic.type === type) as
    | (Poisoning & { toxic: Extract<Toxic, { type: T }> })
    | undefined;
}
