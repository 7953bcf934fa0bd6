import type { ObservePart } from '@tandem/extension/extension';
import { observeServed } from './observe-served.ts';
import { observeShadow } from './observe-shadow.ts';

export const observers: ObservePart['observers'] = [observeServed, observeShadow];
