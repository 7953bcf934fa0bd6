/**
 * Reads the environment: servers, secrets and sizes, which differ from machine to machine. Each app composes the
 * sections it uses (environment-sections.ts), so that no variable is defined twice; all that is wrong is told at once.
 */
import { configError } from '../config-problem.ts';
import { createVariableReader, type VariableReader, type Variables } from './variable-reader.ts';

/** Reads one section's variables; what is wrong with them goes to the reader. */
export type Section<T> = (read: VariableReader) => T;

/**
 * @example readEnvironment(process.env, { database, http }).http.port
 * @throws TandemError `config_invalid` naming each variable, its value (never a secret) and the remedy
 */
export function readEnvironment<S extends Record<string, Section<unknown>>>(
  env: Variables,
  sections: S,
): { readonly [K in keyof S]: ReturnType<S[K]> } {
  const reader = createVariableReader(env);
  const values = Object.fromEntries(Object.entries(sections).map(([name, section]) => [name, section(reader)]));
  const problems = reader.problems();
  if (problems.length > 0) throw configError(problems);
  return values as { [K in keyof S]: ReturnType<S[K]> };
}
