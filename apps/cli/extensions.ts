/** The extensions of the command line. Without a line here, the command line has no part of the extension. */
import type { CommandsPart, Extension } from '@tandem/extension/extension';
import { outcomes } from '@tandem/outcomes/extension';
import { value } from '@tandem/value/extension';

const EXTENSIONS: readonly Extension[] = [outcomes, value];

/** Loads the extensions' parts for the command line. */
export async function loadCommands(): Promise<readonly CommandsPart[]> {
  const parts = await Promise.all(EXTENSIONS.map(({ commands }) => commands?.()));
  return parts.filter((part) => part !== undefined);
}
