import type { CommandsPart } from '@tandem/extension/extension';
import { outcomeCommands } from './send.ts';

export const commands: CommandsPart['commands'] = [outcomeCommands];
