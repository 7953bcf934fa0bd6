/**
 * Renders the types of libs/client/wire-types.ts without Zod, for the published packages: an application that uses the
 * client needs no schema library.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { renderTypes } from './render-types.ts';

/**
 * The names of the schemas that applications send. In the client's types of these, settings with a default are
 * optional.
 */
export const SENT: readonly string[] = [
  ...['ReadMany', 'Event', 'Outcome', 'Outcomes', 'StartRun', 'Rollback', 'RolloutPlan', 'MoveRollout'],
  ...['PromoteRollout', 'ArmOverride', 'Push', 'LabelMove', 'ArchiveChange', 'BuildComparisonRequest'],
  ...['InferenceRequest', 'Rank'],
];

/** Returns a TypeScript declaration for each named schema of the wire. */
export async function renderClientTypes(): Promise<string> {
  const wire = join(import.meta.dirname, '..');
  for (const file of readdirSync(wire)) {
    if (file.endsWith('.ts') && !file.endsWith('.test.ts')) await import(join(wire, file));
  }
  return `/** The types of the wire. Moments are ISO 8601 in UTC. */\n\n${renderTypes(SENT)}\n`;
}
