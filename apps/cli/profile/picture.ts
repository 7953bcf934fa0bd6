/** Draws a profile as one SVG: throughput against p99, a point for each setting that was measured. */
import { fixed, niceCeiling, svgText } from '@tandem/experiment/value/svg';
import { wrap } from '../output/text.ts';
import { isSame, type ProfileFigures, type ProfileReport } from './profile-report.ts';
import { conclusions } from './render-profile.ts';

const WIDTH = 1_000;
const HEIGHT = 600;
const FRAME = { x: 90, y: 150, w: 860, h: 370 };
const INK = '#1f2933';
const FAINT = '#d9dee4';
/** Colours of the versions; later versions share the last. */
const COLOURS = ['#3b6fb6', '#e07b39', '#3a8a5f', '#8a5fa8', '#6b7280'];
const MARKS_MS = [-2, -1, 0, 1, 2, 3, 4].flatMap((power) => [1, 2, 5].map((n) => n * 10 ** power));
const RULES = 5;

export function drawProfile(report: ProfileReport): string {
  const { predictor, measured, targetP99Ms } = report;
  const [headline = ''] = conclusions(report);
  const x = latencies([...measured.map(({ p99Ms }) => p99Ms), ...(targetP99Ms === null ? [] : [targetP99Ms])]);
  const y = throughputs(measured);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="13" fill="${INK}">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    svgText(30, 36, `Live inference of ${predictor}: throughput and latency under full load`, {
      size: 20,
      weight: 600,
    }),
    ...wrap(headline, 140).map((line, i) => svgText(30, 62 + 18 * i, line)),
    ...legend(report),
    ...y.marks.map((mark) => rule(mark, y.at)),
    ...x.marks.map((mark) => svgText(x.at(mark), FRAME.y + FRAME.h + 20, `${mark}`, { anchor: 'middle' })),
    svgText(FRAME.x + FRAME.w / 2, FRAME.y + FRAME.h + 44, 'p99, ms (left is faster)', { anchor: 'middle' }),
    svgText(30, FRAME.y - 14, 'predictions a second', { weight: 600 }),
    ...(targetP99Ms === null ? [] : [target(x.at(targetP99Ms), targetP99Ms)]),
    ...measured.map((one) => point(report, one, x.at(one.p99Ms), y.at(one.predictionsPerSecond))),
    '</svg>',
    '',
  ].join('\n');
}

interface Scale {
  readonly at: (value: number) => number;
  readonly marks: readonly number[];
}

/** Returns a logarithmic scale. */
function latencies(values: readonly number[]): Scale {
  const logs = values.map((value) => Math.log10(Math.max(value, 0.01)));
  const [from, to] = [Math.min(0, ...logs) - 0.1, Math.max(0.5, ...logs) + 0.1];
  return {
    at: (value) => FRAME.x + ((Math.log10(Math.max(value, 0.01)) - from) / (to - from)) * FRAME.w,
    marks: MARKS_MS.filter((mark) => Math.log10(mark) >= from && Math.log10(mark) <= to),
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

function rule(mark: number, at: (value: number) => number): string {
  const y = fixed(at(mark));
  const line = `<line x1="${FRAME.x}" x2="${FRAME.x + FRAME.w}" y1="${y}" y2="${y}" stroke="${FAINT}"/>`;
  return line + svgText(FRAME.x - 8, at(mark) + 4, mark.toLocaleString('en-US'), { anchor: 'end', size: 12 });
}

function target(x: number, ms: number): string {
  const line = `<line x1="${fixed(x)}" x2="${fixed(x)}" y1="${FRAME.y}" y2="${FRAME.y + FRAME.h}" stroke="${INK}" stroke-dasharray="4 4"/>`;
  return line + svgText(x - 6, FRAME.y + 14, `p99 ${ms} ms`, { anchor: 'end', size: 12 });
}

/** Draws a setting; only the recommended and the current one have a label. */
function point({ recommended, current, grid }: ProfileReport, one: ProfileFigures, x: number, y: number): string {
  const colour = colourOf(grid.version, one.version);
  const dot = `<circle cx="${fixed(x)}" cy="${fixed(y)}" r="4" fill="${colour}" opacity="0.75"/>`;
  const isRecommended = recommended !== null && isSame(one, recommended);
  const isCurrent = current !== null && isSame(one, current);
  if (!isRecommended && !isCurrent) return dot;
  const ring = `<circle cx="${fixed(x)}" cy="${fixed(y)}" r="9" fill="none" stroke="${INK}" stroke-width="${isRecommended ? 2.5 : 1}"/>`;
  const name = isRecommended ? 'recommended' : 'now';
  const label = `${name}: batch ${one.batch}, ${one.processes} × ${one.threads}`;
  const isRight = x > FRAME.x + FRAME.w / 2;
  return (
    dot +
    ring +
    svgText(x + (isRight ? -13 : 13), y + (isRecommended ? -8 : 18), label, {
      anchor: isRight ? 'end' : 'start',
      weight: 600,
    })
  );
}

function legend({ grid, measured }: ProfileReport): string[] {
  return grid.version.map((version, i) => {
    const build = measured.find((one) => one.version === version)?.build;
    const x = FRAME.x + 150 + i * 150;
    const dot = `<circle cx="${x}" cy="${FRAME.y - 19}" r="5" fill="${colourOf(grid.version, version)}"/>`;
    return dot + svgText(x + 11, FRAME.y - 14, `version ${version}${build ? ` (${build})` : ''}`);
  });
}

function colourOf(versions: readonly number[], version: number): string {
  return COLOURS[Math.min(versions.indexOf(version), COLOURS.length - 1)] ?? INK;
}
