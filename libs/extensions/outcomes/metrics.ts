import { counter } from '@tandem/telemetry/instruments';

export const metrics = {
  outcomes: counter('tandem_outcomes_total', 'Outcomes received, by result: accepted, duplicate, erased or refused.', [
    'outcome',
  ]),
};
