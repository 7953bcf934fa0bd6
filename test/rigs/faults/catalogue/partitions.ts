/** Faults of the network between a program and a store, simulated by the proxies. */
import { setTimeout as pause } from 'node:timers/promises';
import type { StoreName } from '../rig/stores.ts';
import type { Dose, Toxic } from '../rig/toxics.ts';
import { type NamedFault, oneOf } from './fault.ts';

interface Weather {
  readonly name: string;
  readonly what: string;
  readonly toxic: Toxic;
  readonly dose?: Dose;
}

const HELD_MS = 8_000;

const WEATHERS: readonly Weather[] = [
  { name: 'black-hole', what: 'no bytes pass', toxic: { type: 'timeout', timeout: 0 } },
  { name: 'resets', what: 'connections are reset after 300 ms', toxic: { type: 'reset_peer', timeout: 300 } },
  { name: 'slow', what: 'delays of 100 to 300 ms', toxic: { type: 'latency', latency: 200, jitter: 100 } },
  { name: 'thin', what: '20 kB a second', toxic: { type: 'bandwidth', rate: 20 } },
  {
    name: 'sliced',
    what: 'in slices of some 40 bytes',
    toxic: { type: 'slicer', averageSize: 40, sizeVariation: 30, delayUs: 200 },
  },
  { name: 'half-open', what: 'the server side vanishes without closing the connection', toxic: { type: 'half_open' } },
  {
    name: 'cut-short',
    what: 'half of the connections end after 20 kB',
    toxic: { type: 'limit_data', bytes: 20_000 },
    dose: { toxicity: 0.5 },
  },
];

const WAYS: readonly (readonly ['api' | 'worker', StoreName])[] = [
  ['api', 'cache'],
  ['api', 'postgres'],
  ['worker', 'cache'],
  ['worker', 'postgres'],
  ['worker', 'queue'],
];

export const partitions: readonly NamedFault[] = WAYS.flatMap(([kind, store]) =>
  WEATHERS.map((weather) => ({
    name: `${kind}-${store}-${weather.name}`,
    what: `between one ${kind} and ${store}, for ${HELD_MS / 1_000} s: ${weather.what}`,
    expected: 'the other programs continue; this one recovers within seconds after the fault',
    run: async ({ rig, random, fault }) => {
      const program = oneOf(kind === 'api' ? rig.apis : rig.workers, random);
      const proxy = program.proxies[store];
      await fault(
        { name: `${program.name} to ${store}: ${weather.name}` },
        {
          inject: async () => void proxy.add(weather.toxic, weather.dose),
          hold: () => pause(HELD_MS),
          lift: () => proxy.heal(),
        },
      );
    },
  })),
);
