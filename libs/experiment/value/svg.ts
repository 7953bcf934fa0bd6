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

/** Returns the next 1, 2 or 5 times a power of ten, for a readable scale. */
export function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((step) => step * power >= value) ?? 10) * power;
}

/** Returns a coordinate as text. */
export const fixed = (value: number) => value.toFixed(1);
