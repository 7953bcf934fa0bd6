/** Checks from samples whether memory and descriptors of each process stay flat. */
import type { ProcessSample } from '../history.ts';
import type { Violations } from './violations.ts';

export interface GrowthBounds {
  /** The fewest samples for a verdict: a few minutes. The first quarter of the samples is the warm-up. */
  readonly fewestSamples?: number;
  /** The share by which the median of the last quarter may exceed that of the second. */
  readonly rssShare?: number;
  readonly rssBytes?: number;
  readonly descriptors?: number;
}

export interface ProcessGrowth {
  take(sample: ProcessSample): void;
  finish(): void;
}

/** The most samples of a process. Beyond this, every other sample is removed. */
const KEPT = 512;

interface Track {
  readonly name: string;
  readonly samples: ProcessSample[];
  /** Of this many samples one is kept. */
  every: number;
  seen: number;
}

export function createProcessGrowth(violations: Violations, bounds: GrowthBounds = {}): ProcessGrowth {
  const { fewestSamples = 240, rssShare = 0.3, rssBytes = 64 * 1024 * 1024, descriptors = 50 } = bounds;
  const tracks = new Map<string, Track>();

  function judge({ name, samples }: Track): void {
    if (samples.length < fewestSamples) return;
    const quarter = samples.length >> 2;
    const early = samples.slice(quarter, 2 * quarter);
    const late = samples.slice(-quarter);
    const rss = [median(early.map((one) => one.rss)), median(late.map((one) => one.rss))] as const;
    if (rss[1] > rss[0] * (1 + rssShare) && rss[1] > rss[0] + rssBytes) {
      violations.note('growing process', `${name}: memory`, { rss });
    }
    const open = [median(early.map((one) => one.descriptors)), median(late.map((one) => one.descriptors))] as const;
    if (open[1] > open[0] + descriptors) violations.note('growing process', `${name}: descriptors`, { open });
  }

  return {
    take(sample) {
      const key = `${sample.name} ${sample.pid}`;
      const track = tracks.get(key) ?? { name: sample.name, samples: [], every: 1, seen: 0 };
      tracks.set(key, track);
      if (track.seen++ % track.every !== 0) return;
      track.samples.push(sample);
      if (track.samples.length < KEPT) return;
      track.samples.splice(0, KEPT, ...track.samples.filter((_, i) => i % 2 === 0));
      track.every *= 2;
    },
    finish() {
      for (const track of tracks.values()) judge(track);
    },
  };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}
