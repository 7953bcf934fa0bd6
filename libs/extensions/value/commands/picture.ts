/** Draws a value report as an SVG: quality against cost, and quality by the age of the context. */

import {
  FAINT,
  type Frame,
  fixed,
  INK,
  niceCeiling,
  type Scale,
  svgDocument,
  svgRule,
  svgText,
} from '@tandem/commands/output/svg';
import { wrap } from '@tandem/commands/output/text';
import type { Estimate } from '@tandem/experiment/estimates/user-bootstrap';
import { formatDuration } from '@tandem/wire/durations';
import type { PolicyFigures, ValueReport } from '../value-report.ts';
import { conclusionsOf, measureOf, signed } from './conclusions.ts';
import { ageText } from './render-value.ts';

const WIDTH = 1_080;
const HEIGHT = 560;
const COLOURS = { batch: '#3b6fb6', hybrid: '#e07b39', live: '#3a8a5f' };
const NAMES = { batch: 'batch-only', hybrid: 'hybrid', live: 'live-only' };

const COST: Frame = { x: 90, y: 140, w: 500, h: 330 };
const AGE: Frame = { x: 730, y: 140, w: 310, h: 330 };

/** Returns the report as an SVG document. */
export function drawValue(report: ValueReport): string {
  const kind = report.simulated ? ' (simulated data)' : '';
  const [headline = ''] = conclusionsOf(report);
  return svgDocument(WIDTH, HEIGHT, [
    svgText(30, 36, `Value of fresh context: ${report.predictor}${kind}`, { size: 20, weight: 600 }),
    ...wrap(headline, 150).map((line, i) => svgText(30, 62 + 18 * i, line)),
    drawCost(report),
    drawAges(report),
    svgText(30, HEIGHT - 14, footnote(report), { size: 11 }),
  ]);
}

function footnote({ reads, users, outcomeRate }: ValueReport): string {
  const rate = outcomeRate === null ? '' : `, ${(100 * outcomeRate).toFixed(1)} % followed by the outcome`;
  return `${reads.judged.toLocaleString('en-US')} reads by ${users.judged.toLocaleString('en-US')} users${rate}. Bars: 95 % bootstrap intervals by user, of differences on the same reads.`;
}

/** Returns the scale of the quality. Up is better, and 0 is live-only. */
function differences(frame: Frame, estimates: readonly Estimate[]): Scale {
  const known = estimates.flatMap(({ value, low, high }) => (Number.isNaN(low) ? [value] : [low, high]));
  const least = Math.min(0, ...known);
  const most = Math.max(0, ...known);
  const step = niceCeiling((most - least || 1e-6) / 4);
  const [from, to] = [Math.floor(least / step), Math.ceil(most / step)];
  const marks = Array.from({ length: to - from + 1 }, (_, i) => (from + i) * step);
  const span = Math.max(1, to - from) * step;
  return { marks, at: (value) => frame.y + frame.h - ((value - from * step) / span) * frame.h };
}

/** Returns the powers of ten, and their halves, around the values. */
function costs(frame: Frame, values: readonly number[]): Scale {
  const logs = values.map((value) => Math.log10(Math.max(value, 1e-6)));
  const [from, to] = [Math.min(...logs) - 0.15, Math.max(...logs) + 0.25];
  const candidates = Array.from({ length: 14 }, (_, i) => i - 7).flatMap((power) =>
    [1, 2, 5].map((n) => n * 10 ** power),
  );
  const inside = candidates.filter((value) => Math.log10(value) >= from && Math.log10(value) <= to);
  const marks = inside.length > 8 ? inside.filter((value) => Number.isInteger(Math.log10(value))) : inside;
  return { marks, at: (value) => frame.x + ((Math.log10(Math.max(value, 1e-6)) - from) / (to - from)) * frame.w };
}

function drawCost(report: ValueReport): string {
  const { policies } = report;
  const y = differences(
    COST,
    policies.map(({ againstLive }) => againstLive),
  );
  const x = costs(
    COST,
    policies.map(({ inferences }) => inferences.aRead),
  );
  const kinds = ['batch', 'hybrid'] as const;
  const paths = kinds.map((kind) =>
    drawPath(
      kind,
      policies.filter(({ policy }) => policy === kind),
      x,
      y,
    ),
  );
  return [
    svgText(30, COST.y - 34, `Quality against cost: ${measureOf(report)} against live-only (0), up is better`, {
      weight: 600,
    }),
    ...Object.keys(NAMES).map((kind, i) => key(COST.x + 110 * i, COST.y - 14, kind as PolicyFigures['policy'])),
    drawRules(COST, y),
    ...x.marks.map((mark) =>
      svgText(x.at(mark), COST.y + COST.h + 20, mark.toLocaleString('en-US'), { anchor: 'middle' }),
    ),
    svgText(COST.x + COST.w / 2, COST.y + COST.h + 42, 'inferences a read, batch and live (left is cheaper)', {
      anchor: 'middle',
    }),
    ...paths,
    ...policies.filter(({ policy }) => policy === 'live').map((one) => drawPoint(one, x, y)),
  ].join('\n');
}

function drawPath(kind: 'batch' | 'hybrid', policies: readonly PolicyFigures[], x: Scale, y: Scale): string {
  const places = policies.map((one) => `${fixed(x.at(one.inferences.aRead))},${fixed(y.at(one.againstLive.value))}`);
  const line = `<polyline points="${places.join(' ')}" fill="none" stroke="${COLOURS[kind]}" stroke-width="1.5" opacity="0.6"/>`;
  return [line, ...policies.map((one) => drawPoint(one, x, y)), ...drawLabels(kind, policies, x, y)].join('\n');
}

function drawPoint({ policy, inferences, againstLive }: PolicyFigures, x: Scale, y: Scale): string {
  const [left, top] = [fixed(x.at(inferences.aRead)), fixed(y.at(againstLive.value))];
  const colour = COLOURS[policy];
  // A ring, because the point of a hybrid with rare runs lies beneath it.
  if (policy === 'live') {
    return `<circle cx="${left}" cy="${top}" r="8" fill="none" stroke="${colour}" stroke-width="2.5"/>`;
  }
  return `${bar(x.at(inferences.aRead), againstLive, y, colour)}<circle cx="${left}" cy="${top}" r="5" fill="${colour}"/>`;
}

const LABEL_WIDTH = 30;
const LABEL_HEIGHT = 16;

/** Places labels of close points in rows: below the points of batch-only, and above those of the hybrid. */
function drawLabels(kind: 'batch' | 'hybrid', policies: readonly PolicyFigures[], x: Scale, y: Scale): string[] {
  const ends: number[] = [];
  return policies
    .toSorted((a, b) => a.inferences.aRead - b.inferences.aRead)
    .map(({ cadenceMs, inferences, againstLive }) => {
      const left = x.at(inferences.aRead) + 8;
      const free = ends.findIndex((end) => end <= left);
      const row = free < 0 ? ends.length : free;
      ends[row] = left + LABEL_WIDTH;
      const shift = kind === 'batch' ? 20 + row * LABEL_HEIGHT : -12 - row * LABEL_HEIGHT;
      const label = cadenceMs === null ? '' : formatDuration(cadenceMs);
      return svgText(left, y.at(againstLive.value) + shift, label, { colour: COLOURS[kind] });
    });
}

function drawAges(report: ValueReport): string {
  const bins = report.batchByAge.flatMap((bin) => (bin.againstLive ? [{ ...bin, change: bin.againstLive }] : []));
  const y = differences(
    AGE,
    bins.map(({ change }) => change),
  );
  const step = AGE.w / Math.max(1, bins.length);
  const points = bins.map((bin, i) => {
    const left = AGE.x + (i + 0.5) * step;
    return [
      bar(left, bin.change, y, COLOURS.batch),
      `<circle cx="${fixed(left)}" cy="${fixed(y.at(bin.change.value))}" r="5" fill="${COLOURS.batch}"/>`,
      ageLabel(left, ageText(bin)),
    ].join('');
  });
  return [
    svgText(AGE.x - 60, AGE.y - 34, 'Batch-only answers by age of context', { weight: 600 }),
    svgText(AGE.x - 60, AGE.y - 16, `${measureOf(report)} against live-only (0), up is better`),
    drawRules(AGE, y),
    ...points,
  ].join('\n');
}

/** Draws a label on two lines: `1h` and `to 6h`. */
function ageLabel(x: number, label: string): string {
  const [first = '', ...rest] = label.split(' ');
  return [first, rest.join(' ')]
    .map((line, i) => svgText(x, AGE.y + AGE.h + 20 + 15 * i, line, { anchor: 'middle', size: 12 }))
    .join('');
}

function drawRules(frame: Frame, { marks, at }: Scale): string {
  const strokeOf = (mark: number) => (Math.abs(mark) < 1e-12 ? `${INK}" stroke-dasharray="3 3` : FAINT);
  return marks.map((mark) => svgRule(frame, at(mark), signed(mark, 2), strokeOf(mark))).join('\n');
}

function bar(x: number, { low, high }: Estimate, y: Scale, colour: string): string {
  if (Number.isNaN(low)) return '';
  return `<line x1="${fixed(x)}" x2="${fixed(x)}" y1="${fixed(y.at(high))}" y2="${fixed(y.at(low))}" stroke="${colour}" stroke-width="2.5"/>`;
}

function key(x: number, y: number, kind: PolicyFigures['policy']): string {
  const [fill, stroke] = kind === 'live' ? ['none', COLOURS.live] : [COLOURS[kind], 'none'];
  return `<circle cx="${x}" cy="${y}" r="5" fill="${fill}" stroke="${stroke}" stroke-width="2.5"/>${svgText(x + 11, y + 5, NAMES[kind])}`;
}
