import type { Extension } from './extension.ts';

type Part = 'routes' | 'commands' | 'jobs' | 'observe';
type Loaded<P extends Part> = Awaited<ReturnType<NonNullable<Extension[P]>>>;

/** Loads one part of each extension that has it, in the order of the list. */
export async function loadParts<P extends Part>(extensions: readonly Extension[], part: P): Promise<Loaded<P>[]> {
  const loaded = await Promise.all(extensions.map((extension) => extension[part]?.()));
  return loaded.filter((one) => one !== undefined) as Loaded<P>[];
}
