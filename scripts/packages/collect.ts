/** Collects a package's files: all files that its entries reach. References between files become relative. */
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { output, root } from './plans.ts';
import { findReferences, type Reference, replaceReferences } from './references.ts';
import { findWorkspaceFile } from './workspaces.ts';

/** The folder of the compiled repository. */
export const tree = join(output, 'tree');

/** Libraries that a file of the build replaces in the packages. */
const REPLACED: Readonly<Record<string, string>> = { 'onnxruntime-node': 'onnxruntime.js' };

type Ending = '.js' | '.d.ts';

interface Collected {
  /** The collected files, relative to `tree`. */
  readonly files: ReadonlySet<string>;
  /** Libraries that the collected files import. */
  readonly libraries: ReadonlySet<string>;
  /** The replaced libraries. */
  readonly replaced: ReadonlySet<string>;
}

/**
 * Writes the modules that `entries` reach into `target`, and the files that these name.
 *
 * @param entries TypeScript files relative to the repository
 * @param ending `.js` for the program, `.d.ts` for the declarations
 */
export function collectModules(entries: readonly string[], ending: Ending, target: string): Collected {
  const [libraries, replaced] = [new Set<string>(), new Set<string>()];
  const queue = entries.map((entry) => entry.replace(/\.ts$/, ending));
  const seen = new Set(queue);
  const reach = (path: string) => {
    if (!seen.has(path)) queue.push(path);
    seen.add(path);
  };
  for (const path of queue) {
    const code = readFileSync(join(tree, path), 'utf8');
    const rewritten = replaceReferences(code, findReferences(path, code), (reference) => {
      if (reference.kind === 'file') return rewriteFile(path, code, reference, reach, target);
      return rewriteModule(path, reference, ending, { reach, libraries, replaced });
    });
    write(join(target, path), rewritten);
  }
  return { files: seen, libraries, replaced };
}

interface Found {
  readonly reach: (path: string) => void;
  readonly libraries: Set<string>;
  readonly replaced: Set<string>;
}

function rewriteModule(path: string, { value }: Reference, ending: Ending, found: Found): string | null {
  if (value === null || value.startsWith('node:')) return null;
  const own = value.startsWith('.') ? join(dirname(path), value) : findWorkspaceFile(value);
  if (own !== null) {
    const stem = own.replace(/\.(ts|js)$/, '');
    found.reach(stem + ending);
    return relativeTo(path, `${stem}.js`);
  }
  const library = value.split('/', value.startsWith('@') ? 2 : 1).join('/');
  const file = REPLACED[library];
  if (file === undefined) {
    found.libraries.add(library);
    return null;
  }
  found.replaced.add(library);
  return relativeTo(path, file);
}

/** Handles a file that a module names: a TypeScript file is a separate program, any other file is copied unchanged. */
function rewriteFile(
  path: string,
  code: string,
  { value, start, end }: Reference,
  reach: Found['reach'],
  target: string,
): string | null {
  const text = code.slice(start, end);
  if (value !== null && !/^[a-z]+:/.test(value)) {
    const named = join(dirname(path), value);
    if (named.endsWith('.ts')) reach(named.replace(/\.ts$/, '.js'));
    else copyData(named, target);
  }
  return text.endsWith('.ts') ? text.replace(/\.ts$/, '.js') : null;
}

/** Copies files and folders of the repository. A name may be a pattern. */
export function copyData(pattern: string, target: string): void {
  const found = globSync(pattern, { cwd: root });
  if (found.length === 0) throw new Error(`${pattern} names no file of the repository`);
  for (const path of found) cpSync(join(root, path), join(target, path), { recursive: true });
}

function relativeTo(from: string, path: string): string {
  const found = relative(dirname(from), path).replaceAll('\\', '/');
  return found.startsWith('.') ? found : `./${found}`;
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  if (!existsSync(file)) writeFileSync(file, text);
}
