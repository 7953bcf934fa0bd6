/** Colours, only where somebody looks at them: on a terminal, and without NO_COLOR (no-color.org). */
import { styleText } from 'node:util';
import type { Output } from './cli.ts';

export type Tone = 'good' | 'bad' | 'warn' | 'strong' | 'faint';
export type Paint = (tone: Tone, text: string) => string;

const FORMATS = { good: 'green', bad: 'red', warn: 'yellow', strong: 'bold', faint: 'dim' } as const;

export function createPaint(stream: Output, env: Readonly<NodeJS.ProcessEnv>): Paint {
  const colours = stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
  if (!colours) return plain;
  return (tone, text) => styleText(FORMATS[tone], text, { validateStream: false });
}

export const plain: Paint = (_tone, text) => text;
