/**
 * Merges the expositions of several processes into one. The format requires all series of a metric to be listed
 * together.
 */

/**
 * Returns the merged exposition.
 * @param expositions in the Prometheus text format, with series that differ in a label, such as `process`
 */
export function mergeExpositions(expositions: readonly string[]): string {
  /** HELP and TYPE lines, and series, by the name of the metric. */
  const families = new Map<string, { readonly head: string[]; readonly series: string[] }>();
  for (const exposition of expositions) {
    let family = familyOf(families, '');
    for (const line of exposition.split('\n')) {
      const name = /^# (?:HELP|TYPE) (\S+)/.exec(line)?.[1];
      if (name === undefined) {
        if (line !== '') family.series.push(line);
        continue;
      }
      family = familyOf(families, name);
      if (!family.head.includes(line)) family.head.push(line);
    }
  }
  const lines = [...families.values()].flatMap(({ head, series }) => [...head, ...series]);
  return `${lines.join('\n')}\n`;
}

function familyOf<T>(families: Map<string, { head: T[]; series: T[] }>, name: string) {
  const known = families.get(name);
  if (known) return known;
  const family: { head: T[]; series: T[] } = { head: [], series: [] };
  families.set(name, family);
  return family;
}
