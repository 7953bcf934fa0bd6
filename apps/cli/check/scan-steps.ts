/** Of a plan as EXPLAIN writes it the steps that read these relations, each with the lines that belong to it. */
export function scanSteps(plan: string, relations: readonly string[]): string {
  const lines = plan.split('\n');
  const steps = lines.flatMap((line, i) => {
    const isNamed = relations.some((name) => line.includes(` on ${name} `) || line.includes(` on "${name}" `));
    if (!isNamed || !/ Scan /.test(line)) return [];
    const rest = lines.slice(i + 1);
    const end = rest.findIndex((next) => next.includes('->'));
    const details = rest.slice(0, end < 0 ? rest.length : end).map((detail) => `  ${detail.trim()}`);
    return [line.trim().replace(/^-> +/, ''), ...details];
  });
  return steps.join('\n');
}
