/**
 * Imports a config file as the program it is. Node runs TypeScript by itself; what is added here is that a config far
 * from this installation still finds `@tandem/config/define-config`, and that whatever goes wrong says where.
 */
import { stat } from 'node:fs/promises';
import { registerHooks } from 'node:module';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { ConfigProblem } from './config-problem.ts';

const CONFIG_NAME = 'tandem.config.ts';

const EXAMPLE = `import { defineConfig } from '@tandem/config/define-config';

export default defineConfig({
  predictors: {
    churn: {
      model: './churn.onnx',
      features: { sql: 'select customer_id as user_id, visits, spent from customer_features' },
      outputs: { score: 'float32' },
    },
  },
});`;

export type ImportedConfig =
  | { readonly ok: true; readonly file: string; readonly value: unknown }
  | { readonly ok: false; readonly problem: ConfigProblem; readonly cause: unknown };

/** @param path a config file, or a folder with a `tandem.config.ts`; relative to the working directory */
export async function importConfig(path: string): Promise<ImportedConfig> {
  const asked = resolve(path);
  const facts = await stat(asked).catch(() => null);
  const file = facts?.isDirectory() ? join(asked, CONFIG_NAME) : asked;
  const found = facts?.isDirectory() ? await stat(file).catch(() => null) : facts;
  if (!found?.isFile()) {
    const remedy = `name another file, or write this one:\n\n${EXAMPLE.replace(/^/gm, '      ')}\n`;
    return refuse(file, 'there is no such file', remedy, null);
  }
  try {
    // A changed file is another module, so that a long-lived process can load it again.
    const module: Record<string, unknown> = await importOutside(`${pathToFileURL(file).href}?v=${found.mtimeMs}`);
    if ('default' in module) return { ok: true, file, value: module.default };
    const remedy = 'write export default defineConfig({ … })';
    return refuse(file, 'has no default export', remedy, null);
  } catch (error) {
    return importFailure(file, error);
  }
}

/** Resolves this package's name to this package, also for a file that has no `node_modules` above it. */
async function importOutside(url: string): Promise<Record<string, unknown>> {
  const hooks = registerHooks({
    resolve(specifier, context, nextResolve) {
      const own = /^@tandem\/config\/([a-z-]+)$/.exec(specifier)?.[1];
      return own ? nextResolve(new URL(`./${own}.ts`, import.meta.url).href, context) : nextResolve(specifier, context);
    },
  });
  try {
    return await import(url);
  } finally {
    hooks.deregister();
  }
}

function importFailure(file: string, error: unknown): ImportedConfig {
  if (!(error instanceof Error)) return refuse(file, `throws ${String(error)}`, 'mend the file', error);
  const code = 'code' in error ? String(error.code) : '';
  const place = placeIn(file, error);
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') {
    const remedy = 'use only TypeScript whose types can be stripped: no enum, namespace or parameter property';
    return refuse(place, error.message, remedy, error);
  }
  if (error instanceof SyntaxError) return refuse(place, `syntax error: ${error.message}`, 'mend this line', error);
  if (code === 'ERR_MODULE_NOT_FOUND') {
    const missing = error.message.replace(/ imported from .*/, '');
    return refuse(
      place,
      lowerFirst(missing),
      'mend the import, with the file ending .ts, or install the package',
      error,
    );
  }
  return refuse(place, `throws ${error.name}: ${error.message}`, 'mend what the file does when it is loaded', error);
}

/** The file and line that the error's stack names: of a file that the config imports, that file. */
function placeIn(file: string, error: Error): string {
  const stack = error.stack ?? '';
  // A syntax error begins with its place; any other has it in the frames, as a URL.
  const head = /^(file:\/\/\S+?|\/[^\n]+?)(?:\?v=[\d.]+)?:(\d+)\n/.exec(stack);
  if (head) return `${head[1]?.startsWith('file:') ? fileURLToPath(head[1]) : head[1]}:${head[2]}`;
  const url = pathToFileURL(file).href;
  const start = stack.indexOf(url);
  const line = start < 0 ? null : /^(?:\?v=[\d.]+)?:(\d+)/.exec(stack.slice(start + url.length));
  return line ? `${file}:${line[1]}` : file;
}

function refuse(file: string, problem: string, remedy: string, cause: unknown): ImportedConfig {
  return { ok: false, problem: { file, path: '', problem, remedy }, cause };
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
