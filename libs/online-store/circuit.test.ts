import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createCircuit } from './circuit.ts';

describe('createCircuit', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function build() {
    const states: string[] = [];
    let answers = false;
    const circuit = createCircuit({
      probe: () => (answers ? Promise.resolve() : Promise.reject(new Error('silence'))),
      changed: (state) => states.push(state),
    });
    const heal = () => {
      answers = true;
    };
    return { circuit, states, heal };
  }

  it('opens after three unanswered writes in a row, and not before', () => {
    const { circuit } = build();
    circuit.timedOut();
    circuit.timedOut();
    circuit.answered();
    circuit.timedOut();
    circuit.timedOut();
    expect(circuit.isClosed()).toBe(true);
    circuit.timedOut();
    expect(circuit.isClosed()).toBe(false);
  });

  it('stays open while probes fail, and closes with the first answered probe', async () => {
    const { circuit, states, heal } = build();
    for (let i = 0; i < 3; i++) circuit.timedOut();
    await vi.advanceTimersByTimeAsync(450);
    expect(circuit.isClosed()).toBe(false);
    heal();
    await vi.advanceTimersByTimeAsync(100);
    expect(circuit.isClosed()).toBe(true);
    expect(states).toEqual(['open', 'closed']);
  });

  it('starts again with a new connection', () => {
    const { circuit } = build();
    for (let i = 0; i < 3; i++) circuit.timedOut();
    circuit.reset();
    expect(circuit.isClosed()).toBe(true);
    circuit.timedOut();
    expect(circuit.isClosed()).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });
});
