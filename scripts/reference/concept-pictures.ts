/** Draws the pictures of docs/concepts.md, once for light and once for dark pages. */

interface Theme {
  readonly name: 'light' | 'dark';
  readonly ink: string;
  readonly faint: string;
  readonly fresh: string;
  readonly stale: string;
  readonly event: string;
  /** The colour of text on a filled box. */
  readonly onFill: string;
}

/** The colours of GitHub's two themes. */
const THEMES: readonly Theme[] = [
  {
    name: 'light',
    ink: '#1f2328',
    faint: '#8c959f',
    fresh: '#0969da',
    stale: '#bc4c00',
    event: '#8250df',
    onFill: '#ffffff',
  },
  {
    name: 'dark',
    ink: '#e6edf3',
    faint: '#768390',
    fresh: '#58a6ff',
    stale: '#f0883e',
    event: '#d2a8ff',
    onFill: '#0d1117',
  },
];

interface Picture {
  readonly path: string;
  readonly text: string;
}

export function conceptPictures(): readonly Picture[] {
  return THEMES.flatMap((theme) => [
    { path: `docs/pictures/freshness-${theme.name}.svg`, text: drawFreshness(theme) },
    { path: `docs/pictures/ladder-${theme.name}.svg`, text: drawLadder(theme) },
  ]);
}

const FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";

function svg(width: number, height: number, title: string, parts: readonly string[]): string {
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}" font-family="${FONT}">`;
  return [open, `<title>${title}</title>`, ...parts, '</svg>', ''].join('\n');
}

interface TextStyle {
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly size?: number;
  readonly weight?: number;
}

function text(x: number, y: number, content: string, fill: string, style: TextStyle = {}): string {
  const { anchor = 'start', size = 15, weight = 400 } = style;
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" font-size="${size}" font-weight="${weight}" fill="${fill}">${content}</text>`;
}

function box(x: number, y: number, width: number, height: number, fill: string): string {
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="4" fill="${fill}"/>`;
}

/** Horizontal positions of the moments. */
const at = { start: 170, event: 430, rescored: 560, other: 760, end: 950 };

function drawVersions({ event, ink }: Theme): string[] {
  const versions = [
    { from: at.start, to: at.event, version: 3 },
    { from: at.event, to: at.other, version: 4 },
    { from: at.other, to: at.end, version: 5 },
  ];
  return versions.flatMap(({ from, to, version }) => [
    `<line x1="${from}" x2="${to}" y1="84" y2="84" stroke="${event}" stroke-width="3"/>`,
    text(from + 10, 74, `version ${version}`, ink, { weight: 600 }),
  ]);
}

/** A user's context version over time, and the label of the stored prediction below it. */
function drawFreshness(theme: Theme): string {
  const { ink, faint, fresh, stale, event, onFill } = theme;
  const marks = [
    text(at.event, 30, 'order.placed', event, { anchor: 'middle', weight: 600 }),
    text(at.other, 30, 'page.viewed: does not concern', faint, { anchor: 'middle' }),
    ...[at.event, at.other].map(
      (x) =>
        `<line x1="${x}" x2="${x}" y1="38" y2="176" stroke="${x === at.event ? event : faint}" stroke-dasharray="4 4"/>`,
    ),
  ];
  const labels = [
    box(at.start, 126, at.event - at.start, 40, fresh),
    text(at.start + 12, 152, 'label 3: fresh', onFill, { weight: 600 }),
    box(at.event, 126, at.rescored - at.event, 40, stale),
    text(at.event + 12, 152, 'label 3: stale', onFill, { weight: 600 }),
    box(at.rescored, 126, at.end - at.rescored, 40, fresh),
    text(at.rescored + 12, 152, 'label 4: fresh', onFill, { weight: 600 }),
    text(at.rescored, 192, 're-scored by a worker, or by the first read', ink, { size: 14 }),
  ];
  return svg(960, 210, 'Context versions of a user, and the label of the stored prediction', [
    text(0, 90, 'context', ink, { weight: 600 }),
    text(0, 152, 'stored prediction', ink, { weight: 600 }),
    ...drawVersions(theme),
    ...marks,
    ...labels,
  ]);
}

/** The rungs of an answer, from the best down. */
function drawLadder(theme: Theme): string {
  const { ink, faint, fresh, stale, onFill } = theme;
  const rungs = [
    { name: 'batch or live, stored', when: 'Postgres certifies a stored prediction as fresh', fill: fresh },
    { name: 'live, inferred', when: 'else the model runs within liveTimeout', fill: fresh },
    { name: 'stale', when: 'else the stored prediction is served, and says that it is stale', fill: stale },
    { name: 'default', when: 'else the value that the config declares', fill: stale },
    { name: 'error', when: 'else 503 with Retry-After, or 422 with the reason', fill: faint },
  ];
  const parts = rungs.flatMap(({ name, when, fill }, i) => {
    const y = 10 + i * 52;
    return [
      box(20, y, 200, 38, fill),
      text(120, y + 24, name, onFill, { anchor: 'middle', weight: 600 }),
      text(240, y + 24, when, ink),
      ...(i < rungs.length - 1
        ? [`<path d="M120 ${y + 38}v14m-5 -6l5 6l5 -6" fill="none" stroke="${faint}" stroke-width="2"/>`]
        : []),
    ];
  });
  return svg(760, 270, 'How a read is answered, from the best rung down', parts);
}
