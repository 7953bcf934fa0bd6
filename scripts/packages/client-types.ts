/**
 * Renders the types of libs/client/wire-types.ts without Zod, for the published packages: an application that uses the
 * client needs no schema library.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { renderTypes } from '@tandem/wire/client-types/render-types';
import { SENT } from '@tandem/wire/client-types/sent';
import { root } from './plans.ts';

/** Returns a TypeScript declaration for each named schema of the wire. */
export async function renderClientTypes(): Promise<string> {
  const wire = join(root, 'libs/wire');
  for (const file of readdirSync(wire)) {
    if (file.endsWith('.ts') && !file.endsWith('.test.ts')) await import(join(wire, file));
  }
  return `/** The types of the wire. Moments are ISO 8601 in UTC. */\n\n${renderTypes(SENT)}\n`;
}
