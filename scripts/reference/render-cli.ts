/** Renders docs/reference/cli.md: every command with its arguments and options, from the program that parses them. */
import { createCli } from '@tandem/commands/command';
import { loadParts } from '@tandem/extension/load-parts';
import { EXTENSIONS } from '../../apps/cli/extensions.ts';
import { createProgram } from '../../apps/cli/program.ts';
import { renderTable } from './markdown-table.ts';

type Command = ReturnType<typeof createProgram>;
type Option = Command['options'][number];

const extensions = await loadParts(EXTENSIONS, 'commands');

export function renderCli(): string {
  const program = createReferenceProgram();
  const commands = program.commands.flatMap(leavesOf);
  const index = renderTable(
    ['command', 'what it does'],
    commands.map((command) => [`[\`${nameOf(command)}\`](#${anchorOf(command)})`, command.description()]),
  );
  return [index, ...commands.map(sectionOf)].join('\n\n');
}

/** Creates the command line with streams that nothing reads. */
function createReferenceProgram(): Command {
  const nowhere = { write: () => {} };
  return createProgram(
    createCli({
      stdin: process.stdin,
      stdout: nowhere,
      stderr: nowhere,
      env: {},
      cwd: '.',
      signal: new AbortController().signal,
      whenForced: () => () => {},
      ask: undefined,
      now: () => 0,
    }),
    extensions,
  );
}

function leavesOf(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf);
}

const anchorOf = (command: Command) => nameOf(command).replaceAll(' ', '-');

function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}

function sectionOf(command: Command): string {
  const name = nameOf(command);
  const options = command.options.filter((option) => !option.hidden);
  const said = helpAfter(command);
  return [
    `## ${name}`,
    `\`${name} ${command.usage()}\``,
    `${command.description().replace(/^./, (letter) => letter.toUpperCase())}.`,
    renderTable(
      ['option', 'meaning'],
      options.map((option) => [`\`${option.flags}\``, meaningOf(option)]),
    ),
    ...said,
  ].join('\n\n');
}

function meaningOf({ description, defaultValue, defaultValueDescription, mandatory, argChoices }: Option): string {
  const notes = [
    ...(mandatory ? ['required'] : []),
    ...(argChoices ? [argChoices.join(', ')] : []),
    ...(defaultValue === undefined ? [] : [`default ${defaultValueDescription ?? String(defaultValue)}`]),
  ];
  return notes.length === 0 ? description : `${description} (${notes.join('; ')})`;
}

/** Returns the help below the options: paragraphs, and an example. */
function helpAfter(command: Command): string[] {
  const said: string[] = [];
  command.configureOutput({ writeOut: (more) => void said.push(more) });
  command.outputHelp();
  const text = said.join('');
  const after = text.slice(text.indexOf('\n', text.lastIndexOf('  -h, --help')) + 1).trim();
  const at = after.lastIndexOf('Example: ');
  const detail = at < 0 ? after : after.slice(0, at).trim();
  const example = at < 0 ? '' : after.slice(at + 'Example: '.length).trim();
  return [
    ...(detail === '' ? [] : ['```text', detail, '```'].join('\n').split('\0')),
    ...(example === '' ? [] : ['```sh', example, '```'].join('\n').split('\0')),
  ];
}
