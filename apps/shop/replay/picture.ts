/** Draws a replay as an SVG with three panels: live share by day, latency by source, and change of log-loss. */
import { FAINT, fixed, INK, niceCeiling, svgDocument, svgRule, svgText } from '@tandem/commands/output/svg';
import type { Estimate } from '@tandem/experiment/estimates/user-bootstrap';
import type { OccasionResult } from './scorecard.ts';

export interface DayShares {
  readonly day: string;
  readonly reads: number;
  readonly live: number;
  readonly stale: number;
}

export interface Latencies {
  readonly label: string;
  readonly p50: number;
  readonly p99: number;
}

interface PictureData {
  readonly title: string;
  readonly days: readonly DayShares[];
  /** Milliseconds of single reads. */
  readonly latencies: readonly Latencies[];
  readonly results: readonly OccasionResult[];
}

const colours = { batch: '#3b6fb6', live: '#e07b39', stale: '#8a94a0' };

export function drawReplay(data: PictureData): string {
  return svgDocument(960, 640, [
    svgText(40, 34, data.title, { size: 19, weight: 600 }),
    drawDays(data.days),
    drawLatencies(data.latencies),
    drawChanges(data.results),
  ]);
}

function drawDays(days: readonly DayShares[]): string {
  const frame = { x: 70, y: 90, w: 850, h: 190 };
  const top = niceCeiling(Math.max(0.001, ...days.map((day) => (day.live + day.stale) / day.reads)));
  const step = frame.w / Math.max(1, days.length);
  const bars = days.map((day, i) => {
    const live = (day.live / day.reads / top) * frame.h;
    const stale = (day.stale / day.reads / top) * frame.h;
    const x = frame.x + i * step;
    const bar = (offset: number, size: number, colour: string) =>
      `<rect x="${fixed(x)}" y="${fixed(frame.y + frame.h - offset - size)}" width="${fixed(step * 0.8)}" height="${fixed(size)}" fill="${colour}"/>`;
    return bar(0, live, colours.live) + bar(live, stale, colours.stale);
  });
  const marks = [0, 0.5, 1].map((part) =>
    svgRule(frame, frame.y + frame.h * (1 - part), percent(part * top), FAINT, 13),
  );
  const months = days.flatMap((day, i) =>
    i === 0 || (day.day.endsWith('-01') && i * step < frame.w - 70)
      ? [svgText(frame.x + i * step, frame.y + frame.h + 20, day.day)]
      : [],
  );
  const heading = 'Reads that were not answered from the batch, by day (the rest is batch)';
  const keys = `${key(640, 74, colours.live, 'live')}${key(710, 74, colours.stale, 'stale')}`;
  return [svgText(40, 78, heading, { weight: 600 }), keys, ...marks, ...bars, ...months].join('\n');
}

function drawLatencies(latencies: readonly Latencies[]): string {
  const frame = { x: 150, y: 370, w: 280 };
  const most = niceCeiling(Math.max(0.1, ...latencies.map((one) => one.p99)));
  const rows = latencies.map((one, i) => {
    const y = frame.y + 16 + i * 52;
    const bar = (offset: number, value: number, opacity: number, label: string) =>
      `<rect x="${frame.x}" y="${y + offset}" width="${fixed((value / most) * frame.w)}" height="14" fill="${colours.batch}" opacity="${opacity}"/>` +
      svgText(frame.x + (value / most) * frame.w + 6, y + offset + 12, `${label} ${value.toFixed(1)} ms`);
    return (
      svgText(frame.x - 10, y + 20, one.label, { anchor: 'end' }) +
      bar(0, one.p50, 1, 'p50') +
      bar(17, one.p99, 0.5, 'p99')
    );
  });
  return [svgText(40, 358, 'Latency of a single read, seen by the shop', { weight: 600 }), ...rows].join('\n');
}

function drawChanges(results: readonly OccasionResult[]): string {
  const frame = { x: 700, y: 370, w: 220 };
  const rows = results.flatMap((result) => [
    { label: result.occasion, interval: result.change },
    ...(result.changeWhereLive && result.shares.batch > 0
      ? [{ label: `${result.occasion}, not batch`, interval: result.changeWhereLive }]
      : []),
  ]);
  const most = niceCeiling(
    Math.max(1e-6, ...rows.flatMap(({ interval }) => [Math.abs(interval.low), Math.abs(interval.high)])),
  );
  const at = (value: number) => frame.x + frame.w / 2 + (value / most) * (frame.w / 2);
  const lines = rows.map(({ label, interval }, i) => drawInterval(label, interval, frame, frame.y + 30 + i * 50, at));
  const bottom = frame.y + 30 + rows.length * 50;
  return [
    svgText(520, 358, 'Log-loss against batch-only answers (left is better)', { weight: 600 }),
    `<line x1="${at(0)}" x2="${at(0)}" y1="${frame.y + 8}" y2="${bottom - 16}" stroke="${INK}" stroke-dasharray="3 3"/>`,
    ...lines,
    svgText(at(-most), bottom, signed(-most), { anchor: 'middle' }),
    svgText(at(0), bottom, '0', { anchor: 'middle' }),
    svgText(at(most), bottom, signed(most), { anchor: 'middle' }),
  ].join('\n');
}

function drawInterval(
  label: string,
  interval: Estimate,
  frame: { x: number },
  y: number,
  at: (value: number) => number,
): string {
  const colour = colours.live;
  return [
    svgText(frame.x - 14, y + 4, label, { anchor: 'end' }),
    `<line x1="${fixed(at(interval.low))}" x2="${fixed(at(interval.high))}" y1="${y}" y2="${y}" stroke="${colour}" stroke-width="3"/>`,
    `<circle cx="${fixed(at(interval.value))}" cy="${y}" r="5" fill="${colour}"/>`,
    svgText(
      at(interval.value),
      y + 20,
      `${signed(interval.value)} [${signed(interval.low)}, ${signed(interval.high)}]`,
      {
        anchor: 'middle',
        size: 11,
      },
    ),
  ].join('');
}

function key(x: number, y: number, colour: string, label: string): string {
  return `<rect x="${x}" y="${y - 6}" width="12" height="12" fill="${colour}"/>${svgText(x + 18, y + 5, label)}`;
}

const percent = (share: number) => `${(share * 100).toPrecision(2)} %`;
const signed = (value: number) => `${value > 0 ? '+' : ''}${value.toPrecision(2)}`;
