/** Renders the origin of a feature's value. */
import type { KeptFeature } from '@tandem/client/explanations';
import { moment, printable } from '@tandem/commands/output/text';

/** Returns where the value of a feature comes from. */
export function renderOrigin({ event, from }: Pick<KeptFeature, 'event' | 'from'>): string {
  if (event === undefined) return from;
  return `event ${printable(event.id)} of ${printable(event.source)}, accepted ${moment(event.acceptedAt)} UTC`;
}
