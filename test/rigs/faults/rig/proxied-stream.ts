/** One direction of a proxied connection. It forwards bytes as its current toxics allow. */
import type { Socket } from 'node:net';
import { find, type Poisoning } from './toxics.ts';

export interface StreamParts {
  readonly from: Socket;
  readonly to: Socket;
  /** Returns the toxics that apply to this direction of this connection now. */
  toxics(): readonly Poisoning[];
  readonly random: () => number;
  /** Ends the connection, because the bytes of `limit_data` are used up. */
  onLimit(): void;
}

export interface ProxiedStream {
  /** Makes a waiting stream look at its toxics again, because they have changed. */
  wake(): void;
  stop(): void;
}

interface Chunk {
  readonly bytes: Buffer;
  /** When the bytes arrived, on the clock of performance.now(). */
  readonly at: number;
  /** The share of the jitter that these bytes get, from -1 to 1. It is drawn once. */
  readonly jitter: number;
}

/** The most bytes in the queue. With more bytes, the stream stops reading from the sender. */
const MOST_QUEUED_BYTES = 1_048_576;
const BYTES_PER_KB = 1_000;

export function startStream({ from, to, toxics, random, onLimit }: StreamParts): ProxiedStream {
  const queue: Chunk[] = [];
  let queued = 0;
  let ended = false;
  let stopped = false;
  let running = false;
  let passed = 0;
  /** Maps the id of a `limit_data` toxic to the bytes that had passed when the toxic first applied. */
  const passedBefore = new Map<number, number>();
  let wakeUp = () => {};

  from.on('data', (bytes: Buffer) => {
    if (!running && toxics().length === 0) return void passStraight(bytes);
    queue.push({ bytes, at: performance.now(), jitter: random() * 2 - 1 });
    queued += bytes.length;
    if (queued > MOST_QUEUED_BYTES) from.pause();
    void run();
  });
  from.on('end', () => {
    ended = true;
    void run();
  });

  function passStraight(bytes: Buffer): void {
    passed += bytes.length;
    if (to.destroyed || to.write(bytes)) return;
    from.pause();
    to.once('drain', () => from.resume());
  }

  async function run(): Promise<void> {
    if (running) return;
    running = true;
    while (!stopped && queue.length > 0) {
      const chunk = queue.shift() as Chunk;
      for (const slice of slicesOf(chunk.bytes)) {
        await passInTime({ ...chunk, bytes: slice });
        if (stopped) return;
      }
      queued -= chunk.bytes.length;
      if (from.isPaused() && queued <= MOST_QUEUED_BYTES) from.resume();
    }
    running = false;
    if (!ended || stopped) return;
    const endedAt = performance.now();
    await waitWhile(() => endedAt + (find(toxics(), 'slow_close')?.toxic.delay ?? 0) - performance.now());
    if (!stopped) to.end();
  }

  function slicesOf(bytes: Buffer): Buffer[] {
    const slicer = find(toxics(), 'slicer')?.toxic;
    if (!slicer) return [bytes];
    const { averageSize, sizeVariation = 0 } = slicer;
    const slices: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const size = Math.max(1, Math.round(averageSize + (random() * 2 - 1) * sizeVariation));
      slices.push(bytes.subarray(at, at + size));
      at += size;
    }
    return slices;
  }

  async function passInTime({ bytes, at, jitter }: Chunk): Promise<void> {
    await waitWhile(() => {
      if (find(toxics(), 'timeout')) return Number.POSITIVE_INFINITY;
      const latency = find(toxics(), 'latency')?.toxic;
      return latency ? at + latency.latency + jitter * (latency.jitter ?? 0) - performance.now() : 0;
    });
    if (stopped) return;
    const left = leftOfLimit();
    const part = bytes.length <= left ? bytes : bytes.subarray(0, left);
    passed += part.length;
    await write(part);
    if (part.length >= left) return onLimit();
    const sentAt = performance.now();
    const sliceMs = (find(toxics(), 'slicer')?.toxic.delayUs ?? 0) / 1_000;
    await waitWhile(() => {
      const rate = find(toxics(), 'bandwidth')?.toxic.rate;
      const transferMs = rate === undefined ? 0 : (part.length / (rate * BYTES_PER_KB)) * 1_000;
      return sentAt + Math.max(transferMs, sliceMs) - performance.now();
    });
  }

  function leftOfLimit(): number {
    const limit = find(toxics(), 'limit_data');
    if (!limit) return Number.POSITIVE_INFINITY;
    const before = passedBefore.get(limit.id) ?? passed;
    passedBefore.set(limit.id, before);
    return Math.max(0, before + limit.toxic.bytes - passed);
  }

  /** Waits until `leftMs` returns 0 or less. It is called again after each change of the toxics. */
  async function waitWhile(leftMs: () => number): Promise<void> {
    for (let left = leftMs(); left > 0 && !stopped; left = leftMs()) {
      await new Promise<void>((resolve) => {
        const timer = Number.isFinite(left) ? setTimeout(resolve, left) : undefined;
        wakeUp = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async function write(bytes: Buffer): Promise<void> {
    if (bytes.length === 0 || to.destroyed || to.write(bytes)) return;
    await new Promise<void>((resolve) => {
      to.once('drain', resolve);
      to.once('close', resolve);
    });
  }

  return {
    wake: () => wakeUp(),
    stop() {
      stopped = true;
      wakeUp();
    },
  };
}
