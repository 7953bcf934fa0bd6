/** Draws a profile as an SVG: throughput against p99, with a point for each measured setting. */

import { fixed, INK, niceCeiling, type Scale, svgDocument, svgRule, svgText } from '@tandem/commands/output/svg';
import { count, counted, wrap } from '@tandem/commands/output/text';
import { isSameSetting } from '@tandem/prediction/profile/settings';
import type { ProfileFigures, ProfileReport } from './profile-report.ts';
import { conclusions } from './render-profile.ts';

const WIDTH = 1_000;
const HEIGHT = 600;
const FRAME = { x: 90, y: 160, w: 860, h: 360 };
/** The colours of the versions. Later versions share the last colour. */
const COLOURS = ['#3b6fb6', '#e07b39', '#3a8a5f', '#8a5fa8', '#6b7280'];
const MARKS_MS = [-2, -1, 0, 1, 2, 3, 4].flatMap((power) => [1, 2, 5].map((n) => n * 10 ** power));
const RULES = 5;

export function drawProfile(report: ProfileReport): string {
  const { predictor, measured, targetP99Ms, grid } = report;
  const [headline = ''] = conclusions(report);
  const x = latencies([...measured.map(({ p99Ms }) => p99Ms), ...(targetP99Ms === null ? [] : [targetP99Ms])]);
  const y = throughputs(measured);
  const place = (one: ProfileFigures): Place => ({ x: x.at(one.p99Ms), y: y.at(one.predictionsPerSecond) });
  return svgDocument(WIDTH, HEIGHT, [
    svgText(30, 36, `Live inference of ${predictor}: throughput and latency under full load`, {
      size: 20,
      weight: 600,
    }),
    ...wrap(headline, 140).map((line, i) => svgText(30, 62 + 18 * i, line)),
    ...legend(report),
    ...y.marks.map((mark) => svgRule(FRAME, y.at(mark), count(mark))),
    ...x.marks.map((mark) => svgText(x.at(mark), FRAME.y + FRAME.h + 20, count(mark), { anchor: 'middle' })),
    svgText(FRAME.x + FRAME.w / 2, FRAME.y + FRAME.h + 44, 'p99, ms (left is faster)', { anchor: 'middle' }),
    svgText(30, FRAME.y - 14, 'predictions a second', { weight: 600 }),
    ...(targetP99Ms === null ? [] : [target(x.at(targetP99Ms), targetP99Ms)]),
    ...measured.map((one) => point(place(one), colourOf(grid.version, one.version))),
    // The two named settings are drawn last, so that no point covers them.
    ...named(report, place),
  ]);
}

interface Place {
  readonly x: number;
  readonly y: number;
}

/** The most powers of ten of an axis with additional marks; on a longer axis only the powers have a mark. */
const CROWDED = 3;

/** Returns a logarithmic scale. */
function latencies(values: readonly number[]): Scale {
  const logs = (values.length > 0 ? values : [1]).map((value) => Math.log10(Math.max(value, 0.01)));
  // Spans at least one power of ten, so that there are marks.
  const [least, most] = [Math.min(...logs), Math.max(...logs)];
  const margin = Math.max(0.15, (1 - (most - least)) / 2);
  const [from, to] = [least - margin, most + margin];
  const marks = to - from > CROWDED ? MARKS_MS.filter((mark) => Math.log10(mark) % 1 === 0) : MARKS_MS;
  return {
    at: (value) => FRAME.x + ((Math.log10(Math.max(value, 0.01)) - from) / (to - from)) * FRAME.w,
    marks: marks.filter((mark) => Math.log10(mark) >= from && Math.log10(mark) <= to),
  };
}

function throughputs(measured: readonly ProfileFigures[]): Scale {
  const most = Math.max(1, ...measured.map(({ predictionsPerSecond }) => predictionsPerSecond));
  const step = niceCeiling(most / RULES);
  const top = Math.ceil(most / step) * step;
  return {
    at: (value) => FRAME.y + FRAME.h - (value / top) * FRAME.h,
    marks: Array.from({ length: Math.round(top / step) + 1 }, (_, i) => i * step),
  };
}

function target(x: number, ms: number): string {
  const line = `<line x1="${fixed(x)}" x2="${fixed(x)}" y1="${FRAME.y}" y2="${FRAME.y + FRAME.h}" stroke="${INK}" stroke-dasharray="4 4"/>`;
  const isLeft = x < FRAME.x + FRAME.w / 2;
  const style = { anchor: isLeft ? 'start' : 'end', size: 12 } as const;
  return line + svgText(x + (isLeft ? 6 : -6), FRAME.y + 14, `target ${count(ms)} ms`, style);
}

function point({ x, y }: Place, colour: string): string {
  return `<circle cx="${fixed(x)}" cy="${fixed(y)}" r="4" fill="${colour}" opacity="0.75"/>`;
}

/** The approximate width of a label. */
const LABEL = { w: 100, h: 22 };

/** Marks the recommended setting and the current one, and describes both above the frame. */
function named({ recommended, current }: ProfileReport, place: (one: ProfileFigures) => Place): string[] {
  const isSame = recommended !== null && current !== null && isSameSetting(recommended, current);
  const name = recommended?.meetsTarget ? 'recommended' : 'nearest';
  const all = [
    ...(recommended ? [{ one: recommended, name: isSame ? `${name}, now` : name, width: 2.5 }] : []),
    ...(current && !isSame ? [{ one: current, name: 'now', width: 1 }] : []),
  ];
  const [first] = all;
  return all.flatMap(({ one, name, width }, i) => {
    const { x, y } = place(one);
    const other = i > 0 && first ? place(first.one) : { x: -WIDTH, y };
    const isCrowded = Math.abs(x - other.x) < LABEL.w && Math.abs(y - other.y) < 2 * LABEL.h;
    const isBelow = isCrowded ? y > other.y && y < FRAME.y + FRAME.h - 2 * LABEL.h : y < FRAME.y + LABEL.h;
    const up = isCrowded && !isBelow ? 2 * LABEL.h - 8 : 14;
    const at = Math.min(Math.max(x, FRAME.x + LABEL.w / 2), FRAME.x + FRAME.w - LABEL.w / 2);
    const processes = counted(one.processes, 'process', 'processes');
    const text = `${name}: batch ${one.batch}, ${processes}, ${counted(one.threads, 'thread')} each`;
    return [
      `<circle cx="${fixed(x)}" cy="${fixed(y)}" r="9" fill="none" stroke="${INK}" stroke-width="${width}"/>`,
      svgText(at, isBelow ? y + 25 : y - up, name, { anchor: 'middle', weight: 600 }),
      `<circle cx="${LEGEND_X + 360 * i}" cy="${FRAME.y - 41}" r="6" fill="none" stroke="${INK}" stroke-width="${width}"/>`,
      svgText(LEGEND_X + 12 + 360 * i, FRAME.y - 36, text),
    ];
  });
}

const LEGEND_X = FRAME.x + 150;

/** Returns an entry for each colour. */
function legend({ grid, measured }: ProfileReport): string[] {
  return COLOURS.slice(0, grid.version.length).map((colour, i) => {
    const versions = i < COLOURS.length - 1 ? grid.version.slice(i, i + 1) : grid.version.slice(i);
    const build = versions.length === 1 && measured.find((one) => one.version === versions[0])?.build;
    const few = versions.length > 3 ? `${versions.slice(0, 2).join(', ')}, …` : versions.join(', ');
    const name = versions.length === 1 ? `version ${few}${build ? ` (${build})` : ''}` : `versions ${few}`;
    const x = LEGEND_X + i * 145;
    return `<circle cx="${x}" cy="${FRAME.y - 19}" r="5" fill="${colour}"/>${svgText(x + 12, FRAME.y - 14, name)}`;
  });
}

function colourOf(versions: readonly number[], version: number): string {
  return COLOURS[Math.min(versions.indexOf(version), COLOURS.length - 1)] ?? INK;
}
