import type { CommandsPart } from '@tandem/extension/extension';
import { rolloutCommands } from './rollout.ts';

export const commands: CommandsPart['commands'] = [rolloutCommands];
