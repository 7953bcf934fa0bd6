/** Parts of the diagrams in reports: text with an outline, coordinates, round scales. */

interface TextStyle {
  readonly anchor?: 'start' | 'middle' | 'end';
  readonly size?: number;
  readonly weight?: number;
  readonly colour?: string;
}

/** Returns a text with a white outline, which is readable in front of lines. */
export function svgText(x: number, y: number, content: string, style: TextStyle = {}): string {
  const { anchor = 'start', size = 13, weight = 400, colour } = style;
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const fill = colour === undefined ? '' : ` fill="${colour}"`;
  return `<text x="${fixed(x)}" y="${fixed(y)}" text-anchor="${anchor}"${fill} paint-order="stroke" stroke="#fff" stroke-width="3" font-size="${size}" font-weight="${weight}">${escaped}</text>`;
}

/** The colour of texts and of lines that matter, and the colour of rules. */
export const INK = '#1f2933';
export const FAINT = '#d9dee4';

/** Returns the document of a picture with these parts, on a white ground. */
export function svgDocument(width: number, height: number, parts: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="13" fill="${INK}">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

/** The part of a picture that a diagram fills. */
export interface Frame {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

/** An axis: the coordinate of a value, and the values with a mark. */
export interface Scale {
  readonly at: (value: number) => number;
  readonly marks: readonly number[];
}

/** Returns a horizontal rule across a frame, with its label on the left. */
export function svgRule({ x, w }: Pick<Frame, 'x' | 'w'>, y: number, label: string, stroke = FAINT, size = 12): string {
  const line = `<line x1="${x}" x2="${x + w}" y1="${fixed(y)}" y2="${fixed(y)}" stroke="${stroke}"/>`;
  return line + svgText(x - 8, y + 4, label, { anchor: 'end', size });
}

/** Returns the next 1, 2 or 5 times a power of ten, for a readable scale. */
export function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((step) => step * power >= value) ?? 10) * power;
}

/** Returns a coordinate as text. */
export const fixed = (value: number) => value.toFixed(1);
