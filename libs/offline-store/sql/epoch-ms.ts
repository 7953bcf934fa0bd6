/** Whole milliseconds since 1970 of a timestamptz expression, as a double. */
export function epochMs(expression: string): string {
  return `floor(extract(epoch from ${expression}) * 1000)::float8`;
}
