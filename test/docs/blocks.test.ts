/**
 * Checks the code blocks of the docs that need no server: JSON parses, commands and paths exist, and marks have a
 * reason.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommanderError, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { createCli } from '@tandem/commands/command';
import { loadParts } from '@tandem/extension/load-parts';
import { describe, expect, it } from 'vitest';
import { EXTENSIONS } from '../../apps/cli/extensions.ts';
import { createProgram } from '../../apps/cli/program.ts';
import { root } from '../architecture/source-tree.ts';
import { describedPaths } from './described-paths.ts';
import { documentedBlocks, placeOf } from './documented-blocks.ts';
import { commandsIn, curlRequest, tandemArguments } from './shell-commands.ts';

/** The most blocks that no test runs. Raise this number only for a block that cannot run. */
const MOST_NOT_RUN = 32;

const blocks = documentedBlocks();
const shell = blocks.filter(({ language }) => language === 'sh');
const commands = shell.flatMap((block) => commandsIn(block.code).map((words) => ({ place: placeOf(block), words })));
const notRun = blocks.filter(({ mark }) => mark?.kind === 'not run');

it('has only blocks of languages that a test reads', () => {
  const known = ['sh', 'ts', 'tsx', 'sql', 'json', 'py', 'yaml', 'ini', 'text'];
  expect(blocks.filter(({ language }) => !known.includes(language)).map(placeOf)).toEqual([]);
  expect(blocks.length).toBeGreaterThan(60);
});

it.each(blocks.filter(({ language }) => language === 'json').map((block) => [placeOf(block), block] as const))(
  '%s is JSON',
  (_, { code }) => {
    const lines = code.trim().split('\n');
    const isLines = lines.length > 1 && lines.every((line) => /^\{.*\}$/.test(line));
    for (const text of isLines ? lines : [code]) expect(() => JSON.parse(text)).not.toThrow();
  },
);

it.each(blocks.filter(({ language }) => language === 'ini').map((block) => [placeOf(block), block] as const))(
  '%s has only sections, settings and comments',
  (_, { code }) => {
    expect(code.split('\n').filter((line) => !/^($|#|\[\w+\]$|\w+=)/.test(line))).toEqual([]);
  },
);

describe('commands in the docs', () => {
  const tandem = commands.flatMap(({ place, words }) => {
    const args = tandemArguments(words);
    return args === null ? [] : [{ place, args }];
  });

  it('are commands of tandem, with options that it has', () => {
    expect(tandem.length).toBeGreaterThan(60);
    expect(
      tandem.flatMap(({ place, args }) => refusalOf(args).map((why) => `${place}: ${args.join(' ')}: ${why}`)),
    ).toEqual([]);
  });

  it('are scripts of package.json', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const named = commands.filter(({ words }) => words[0] === 'npm' && words[1] === 'run');
    expect(named.filter(({ words }) => !(words[2] && words[2] in scripts)).map(({ place }) => place)).toEqual([]);
  });
});

it('curl asks for paths that the API has', () => {
  const asked = commands.flatMap(({ place, words }) => {
    const request = curlRequest(words);
    return request === null ? [] : [{ place, ...request }];
  });
  const paths = describedPaths();
  const isThere = ({ method, path }: { method: string; path: string }) =>
    paths.some((one) => one.method === method && one.pattern.test(path));
  expect(asked.length).toBeGreaterThan(10);
  expect(asked.filter((one) => !isThere(one)).map(({ place, method, path }) => `${place}: ${method} ${path}`)).toEqual(
    [],
  );
});

describe('marks', () => {
  it(`leave out ${notRun.length} of ${blocks.length} blocks, each with a reason`, () => {
    expect(notRun.filter(({ mark }) => (mark?.text.length ?? 0) < 15).map(placeOf)).toEqual([]);
    expect(notRun.length).toBeLessThanOrEqual(MOST_NOT_RUN);
  });

  it('name a test that reads the page', () => {
    const faults = blocks.flatMap((block) => {
      if (block.mark?.kind !== 'run by') return [];
      const path = join(root, block.mark.text);
      const isRead = existsSync(path) && readFileSync(path, 'utf8').includes(block.page.replace(/^docs\//, ''));
      return isRead ? [] : [`${placeOf(block)}: ${block.mark.text} does not read the page`];
    });
    expect(faults).toEqual([]);
  });
});

const extensions = await loadParts(EXTENSIONS, 'commands');

/** Returns the errors of the command line for the arguments, or an empty list if it accepts them. */
function refusalOf(args: readonly string[]): string[] {
  const said: string[] = [];
  const sink = { write: (text: string) => void said.push(text) };
  const program = createProgram(
    createCli({
      stdin: process.stdin,
      stdout: sink,
      stderr: sink,
      env: {},
      cwd: root,
      signal: new AbortController().signal,
      whenForced: () => () => {},
      ask: undefined,
      now: Date.now,
    }),
    extensions,
  );
  doNothing(program);
  try {
    program.parse([...args], { from: 'user' });
    return [];
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? [] : [said.join('').trim()];
    throw error;
  }
}

function doNothing(command: CommandUnknownOpts): void {
  if (command.commands.length === 0) command.action(() => {});
  for (const child of command.commands) doNothing(child);
}
