import type { SectionResult } from './report.ts';
import type { Figure } from './section.ts';

/**
 * Runs one measurement and times it. A failed measurement does not stop the others; its result holds the error.
 * @param say reports progress to a person
 */
export async function measureSection(
  section: string,
  say: (line: string) => void,
  measure: (say: (line: string) => void) => Promise<readonly Figure[]>,
): Promise<SectionResult> {
  const [name] = section.split(':');
  const startedAt = performance.now();
  const ended = (figures: readonly Figure[], error: string | null): SectionResult => {
    const seconds = (performance.now() - startedAt) / 1000;
    say(`${name}: ${error === null ? 'done' : 'FAILED'} in ${Math.round(seconds)} s`);
    return { section, seconds, figures, error };
  };
  try {
    return ended(await measure((line) => say(`${name}: ${line}`)), null);
  } catch (error) {
    if (error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return ended([], error instanceof Error ? error.message : String(error));
  }
}
