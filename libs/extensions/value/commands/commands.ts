import type { CommandsPart } from '@tandem/extension/extension';
import { valueCommand } from './value.ts';

export const commands: CommandsPart['commands'] = [valueCommand];
