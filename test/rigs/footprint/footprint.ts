/**
 * The footprint of an operation: the product's files and the lines of functions that it executes. Functions that also run for
 * other reasons (timers, metrics) do not run in every repetition, so only functions that ran in every repetition count.
 */
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CoveredScript } from './coverage-session.ts';

/**
 * Maps a path relative to the project's root to the file's executed function lines, without blank lines and comments.
 */
export type Footprint = ReadonlyMap<string, number>;

/** The offsets of a function in the text of its file. */
interface Place {
  readonly start: number;
  readonly end: number;
}

interface Functions {
  /** The functions that ran, and the functions inside them. */
  readonly known: Map<string, Place>;
  readonly ran: Set<string>;
}

/** @param repetitions the scripts of all processes involved, for each repetition of the operation */
export function footprintOf(root: string, repetitions: readonly (readonly CoveredScript[])[]): Footprint {
  const [first = new Map<string, Functions>(), ...others] = repetitions.map((scripts) => readFunctions(root, scripts));
  const footprint = new Map<string, number>();
  for (const [file, { known, ran }] of first) {
    const always = new Set([...ran].filter((id) => others.every((other) => other.get(file)?.ran.has(id))));
    const lines = countLines(readFileSync(join(root, file), 'utf8'), known, always);
    if (lines > 0) footprint.set(file, lines);
  }
  return footprint;
}

function readFunctions(root: string, scripts: readonly CoveredScript[]): Map<string, Functions> {
  const files = new Map<string, Functions>();
  for (const { url, functions } of scripts) {
    const file = productFile(root, url);
    if (file === null) continue;
    const { known, ran } = files.get(file) ?? { known: new Map(), ran: new Set() };
    files.set(file, { known, ran });
    for (const { functionName, ranges } of functions) {
      const [own] = ranges;
      const isModule = functionName === '' && own?.startOffset === 0;
      if (!own || isModule) continue;
      const id = `${own.startOffset}-${own.endOffset}`;
      known.set(id, { start: own.startOffset, end: own.endOffset });
      if (own.count > 0) ran.add(id);
    }
  }
  return files;
}

function productFile(root: string, url: string): string | null {
  if (!url.startsWith('file:')) return null;
  const path = relative(root, fileURLToPath(url)).replaceAll('\\', '/');
  const isProduct = /^(apps|libs)\//.test(path) && !/node_modules|\.(test|fixture)\.ts$/.test(path);
  return isProduct ? path : null;
}

/** Counts executed lines. The lines of an inner function that did not run do not count, except its first line. */
function countLines(text: string, known: ReadonlyMap<string, Place>, ran: ReadonlySet<string>): number {
  const outerFirst = [...known].sort(([, a], [, b]) => a.start - b.start || b.end - a.end);
  const executed = new Set<number>();
  for (const [id, { start, end }] of outerFirst) {
    const first = lineAt(text, start);
    const last = lineAt(text, end);
    for (let line = first; line <= last; line++) {
      if (ran.has(id)) executed.add(line);
      else if (line > first) executed.delete(line);
    }
  }
  const lines = text.split('\n');
  return [...executed].filter((line) => isCode(lines[line] ?? '')).length;
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length - 1;
}

function isCode(line: string): boolean {
  const text = line.trim();
  return text !== '' && !/^(\/\/|\/?\*)/.test(text);
}
