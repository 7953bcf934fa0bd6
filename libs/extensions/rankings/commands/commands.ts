import type { CommandsPart } from '@tandem/extension/extension';
import { rankCommand } from './rank.ts';

export const commands: CommandsPart['commands'] = [rankCommand];
