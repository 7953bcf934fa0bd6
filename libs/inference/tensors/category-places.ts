/** Looks up the place of a text among a column's categories, many times over. */

/** From so many rows on, a table is built sooner than the values are searched. */
const TABLE_FROM_ROWS = 16;

/** @returns a text's place in `values`, from 0, or -1 */
export function placesOf(values: readonly string[], rows: number): (text: string) => number {
  if (rows < TABLE_FROM_ROWS) return (text) => values.indexOf(text);
  const places = new Map(values.map((value, place) => [value, place]));
  return (text) => places.get(text) ?? -1;
}
