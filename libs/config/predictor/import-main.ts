/**
 * The process that imports a config, so that a file that never returns, or ends its process, affects only this process.
 * Node runs TypeScript. This file adds two things: a config outside this installation can import `tandem`, and each
 * error has its place. It sends one `Imported` over 'advanced' IPC.
 */
import { flushCompileCache, registerHooks } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { ConfigProblem } from './config-problem.ts';

export type Imported =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problem: ConfigProblem };

/** Node's exit code of a program whose top level never settles. Node would print a warning about this file. */
const EXIT_UNSETTLED = 13;

const DEFINE_CONFIG = new URL('../define-config.ts', import.meta.url).href;

const [file = ''] = process.argv.slice(2);
process.once('beforeExit', () => process.exit(EXIT_UNSETTLED));
void importFile(file).then(report);

function report(imported: Imported): void {
  // The parent ends this process with SIGKILL, which would not write the cache.
  flushCompileCache();
  // The process stays until the parent ends it, so that its exit never arrives before its message.
  process.channel?.ref();
  try {
    process.send?.(imported);
  } catch (error) {
    // A value that cannot be copied between processes, such as a function or a promise, is not a valid setting.
    const told = error instanceof Error ? error.message : String(error);
    process.send?.(
      refuse(file, `exports a value that is not plain data: ${told}`, 'export strings, numbers, arrays and objects'),
    );
  }
}

async function importFile(path: string): Promise<Imported> {
  try {
    const module = await importOutside(pathToFileURL(path).href);
    if ('default' in module) return { ok: true, value: module.default };
    return refuse(path, 'has no default export', 'write export default defineConfig({ … })');
  } catch (error) {
    return importFailure(path, error);
  }
}

/**
 * Imports a file, and resolves `tandem` to this installation, even without a `node_modules` above the file. Configs of
 * this repository and older configs import `@tandem/config/define-config`.
 */
async function importOutside(url: string): Promise<Record<string, unknown>> {
  registerHooks({
    resolve(specifier, context, nextResolve) {
      const isOwn = specifier === 'tandem' || specifier === '@tandem/config/define-config';
      return nextResolve(isOwn ? DEFINE_CONFIG : specifier, context);
    },
  });
  return await import(url);
}

function importFailure(path: string, error: unknown): Imported {
  if (!(error instanceof Error)) return refuse(path, `throws ${String(error)}`, 'fix the file');
  const code = 'code' in error ? String(error.code) : '';
  const place = placeIn(path, error);
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') {
    const remedy = 'use only TypeScript with types that can be stripped: no enum, namespace or parameter property';
    return refuse(place, error.message, remedy);
  }
  if (error instanceof SyntaxError) return refuse(place, `syntax error: ${error.message}`, 'fix this line');
  if (code === 'ERR_MODULE_NOT_FOUND') {
    const missing = error.message.replace(/ imported from .*/, '');
    return refuse(place, lowerFirst(missing), 'fix the import, with the file ending .ts, or install the package');
  }
  return refuse(place, `throws ${error.name}: ${error.message}`, 'fix the code that runs when the file is loaded');
}

/** Returns the file and line in the error's stack, which may be a file that the config imports. */
function placeIn(path: string, error: Error): string {
  const stack = error.stack ?? '';
  // The stack of a syntax error begins with its place. Other errors have the place in their frames, as a URL.
  const head = /^(file:\/\/\S+?|\/[^\n]+?):(\d+)\n/.exec(stack);
  if (head) return `${head[1]?.startsWith('file:') ? fileURLToPath(head[1]) : head[1]}:${head[2]}`;
  const url = pathToFileURL(path).href;
  const start = stack.indexOf(url);
  const line = start < 0 ? null : /^:(\d+)/.exec(stack.slice(start + url.length));
  return line ? `${path}:${line[1]}` : path;
}

function refuse(place: string, problem: string, remedy: string): Imported {
  return { ok: false, problem: { file: place, path: '', problem, remedy } };
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
