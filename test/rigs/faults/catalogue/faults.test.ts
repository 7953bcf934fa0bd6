import { describe, expect, it } from 'vitest';
import { controls, findControls } from '../plant/controls/catalogue.ts';
import { failpointNames } from '../plant/failpoints.ts';
import { findPlants } from '../plant/plants.ts';
import { faults, findFaults } from './faults.ts';

describe('the catalogue of faults', () => {
  it('has a different name for each fault, usable on a command line', () => {
    const names = faults.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => !/^[a-z0-9-]+$/.test(name))).toEqual([]);
  });

  it('kills a program at every failpoint that the load reaches', () => {
    const kills = faults.filter(({ name }) => name.includes('killed'));
    expect(kills.length).toBeGreaterThanOrEqual(failpointNames.length - 5);
  });

  it('finds a fault by its name and a family by its prefix, and lists all names for an unknown one', () => {
    expect(findFaults(['cache-flushed']).map(({ name }) => name)).toEqual(['cache-flushed']);
    expect(findFaults(['killed-at-']).length).toBeGreaterThan(30);
    expect(findFaults([])).toBe(faults);
    expect(() => findFaults(['cash-flushed'])).toThrow(/no fault is called cash-flushed; there are cache-flushed/);
  });
});

describe('the negative controls', () => {
  it('are complete, and each names plants that exist', () => {
    expect(controls.map(({ name }) => name)).toEqual([
      ...[
        'N1',
        'N2',
        'N3',
        'N4',
        'N5',
        'N5-calm',
        'N6',
        'N7',
        'N8',
        'N9',
        'N10',
        'N11',
        'N12',
        'Q1',
        'H1',
        'H2',
        'H3',
        'H4',
        'C1',
        'Q3',
        'E1',
        'E2',
        'R1',
        'R2',
        'R3',
        'W1',
        'W2',
        'W3',
        'W4',
        'W5',
        'W6',
        'F1',
        'L1',
        'U1',
        'U2',
        'U3',
        'U4',
        'O1',
      ],
    ]);
    for (const { plants } of controls) findPlants(plants);
    expect(findControls(['N7'])).toHaveLength(1);
    expect(() => findControls(['N13'])).toThrow(/no control is called N13/);
  });
});
