/**
 * Draws the picture of the README, docs/pictures/event-to-read-*.svg, once for light and once for dark pages. Run it
 * with `node scripts/run.mjs scripts/draw-picture.ts`. With `--print`, it writes both pictures to standard output.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Theme {
  readonly ink: string;
  readonly faint: string;
  readonly fresh: string;
  readonly stale: string;
  readonly event: string;
  /** The colour of text on a bar. */
  readonly onBar: string;
}

// The colours of GitHub's two themes. The stale part is also hatched, for readers who cannot distinguish the colours.
const themes: Readonly<Record<'light' | 'dark', Theme>> = {
  light: { ink: '#1f2328', faint: '#8c959f', fresh: '#0969da', stale: '#bc4c00', event: '#8250df', onBar: '#ffffff' },
  dark: { ink: '#e6edf3', faint: '#768390', fresh: '#58a6ff', stale: '#f0883e', event: '#d2a8ff', onBar: '#0d1117' },
};

const TITLE = 'From an event to the next read';
const DESCRIPTION =
  'A nightly run stores a score of 0.12 for user 42. At 10:14 the user places an order. A cache with a TTL serves 0.12 until ' +
  'the TTL ends. Tandem scores the user again, so that the next read finds 0.58 and says that it is fresh.';

const width = 960;
const height = 322;
/** Horizontal positions of the moments. */
const at = { run: 176, event: 430, stored: 520, read: 660, end: 936 };

interface TextStyle {
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly size?: number;
  readonly weight?: number;
}

function text(x: number, y: number, content: string, fill: string, style: TextStyle = {}): string {
  const { anchor = 'start', size = 15, weight = 400 } = style;
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" font-size="${size}" font-weight="${weight}" fill="${fill}">${content}</text>`;
}

function bar(from: number, to: number, y: number, fill: string): string {
  return `<rect x="${from}" y="${y}" width="${to - from}" height="40" rx="4" fill="${fill}"/>`;
}

/** The moments above both lanes, and the line of the event through them. */
function moments({ ink, faint, event }: Theme): string[] {
  return [
    text(at.run, 26, '02:00', faint),
    text(at.run, 46, 'batch run', ink, { weight: 600 }),
    text(at.event, 26, '10:14', faint, { anchor: 'middle' }),
    text(at.event, 46, 'user 42 places an order', event, { anchor: 'middle', weight: 600 }),
    text(at.read, 26, '10:15', faint, { anchor: 'middle' }),
    text(at.read, 46, 'next read', ink, { anchor: 'middle', weight: 600 }),
    text(at.end, 26, '02:00', faint, { anchor: 'end' }),
    text(at.end, 46, 'the TTL ends', ink, { anchor: 'end', weight: 600 }),
    `<line x1="${at.event}" x2="${at.event}" y1="58" y2="246" stroke="${event}" stroke-width="2.5"/>`,
    // Interrupted by the answer of the first lane.
    `<path d="M${at.read} 58V74M${at.read} 146V174" stroke="${faint}" stroke-dasharray="4 4"/>`,
  ];
}

/** Draws a read: a dot on the lane, and its answer below. */
function read(y: number, answer: string, colour: string, { onBar }: Theme): string[] {
  return [
    `<circle cx="${at.read}" cy="${y + 20}" r="7" fill="${onBar}" stroke="${colour}" stroke-width="3"/>`,
    text(at.read, y + 62, answer, colour, { anchor: 'middle', weight: 600 }),
  ];
}

function cacheLane(theme: Theme): string[] {
  const y = 74;
  return [
    text(0, y + 26, 'Cache with a TTL', theme.ink, { size: 17, weight: 600 }),
    bar(at.run, at.event, y, theme.fresh),
    bar(at.event, at.end, y, theme.stale),
    bar(at.event, at.end, y, 'url(#hatch)'),
    text(at.run + 14, y + 26, 'score 0.12', theme.onBar, { weight: 600 }),
    text(at.event + 14, y + 26, 'score 0.12, out of date', theme.onBar, { weight: 600 }),
    ...read(y, '0.12, age unknown', theme.stale, theme),
  ];
}

function tandemLane(theme: Theme): string[] {
  const y = 174;
  const middle = (at.event + at.stored) / 2;
  return [
    text(0, y + 26, 'Tandem', theme.ink, { size: 17, weight: 600 }),
    bar(at.run, at.event, y, theme.fresh),
    `<rect x="${at.event + 3}" y="${y + 1.5}" width="${at.stored - at.event - 6}" height="37" rx="4" fill="none" stroke="${theme.fresh}" stroke-width="2" stroke-dasharray="5 4"/>`,
    bar(at.stored, at.end, y, theme.fresh),
    text(at.run + 14, y + 26, 'score 0.12', theme.onBar, { weight: 600 }),
    text(middle, y + 25, 're-score', theme.ink, { anchor: 'middle', size: 14 }),
    text(at.stored + 14, y + 26, 'score 0.58', theme.onBar, { weight: 600 }),
    ...read(y, '0.58, certified fresh by Postgres', theme.fresh, theme),
  ];
}

function draw(theme: Theme): string {
  const how = [
    'The event raises the user’s context version in Postgres.',
    'Each read asks Postgres for that version: a prediction from an older version is not fresh.',
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-4 0 ${width} ${height}" role="img" aria-labelledby="title description" font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif">`,
    `<title id="title">${TITLE}</title>`,
    `<desc id="description">${DESCRIPTION}</desc>`,
    `<defs><pattern id="hatch" width="10" height="10" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line x1="0" x2="0" y1="0" y2="10" stroke="${theme.onBar}" stroke-opacity="0.28" stroke-width="6"/></pattern></defs>`,
    ...moments(theme),
    ...cacheLane(theme),
    ...tandemLane(theme),
    ...how.map((line, i) => text(at.run, 286 + i * 24, line, theme.ink)),
    '</svg>',
    '',
  ].join('\n');
}

for (const [name, theme] of Object.entries(themes)) {
  const picture = draw(theme);
  if (process.argv.includes('--print')) process.stdout.write(picture);
  else writeFileSync(join(import.meta.dirname, `../docs/pictures/event-to-read-${name}.svg`), picture);
}
