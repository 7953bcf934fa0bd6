/**
 * The independent checker. It receives a history line by line, and reports contradictions to the service's promises. It
 * does not depend on the implementation: it sees only the requests and answers of clients, and at the end the stores
 * (check-stores.ts). It is a sink, so that it can run during the load or on a file.
 *
 * Memory: about a hundred bytes per user, 60 bytes per sent event, one number per second, and the raises of the last
 * minute.
 */
import type { Change, Fault, HistorySink, Operation, TableChange } from '../history.ts';
import { type AssignmentCounts, createAssignmentRule } from './assignment-rule.ts';
import { type CallCounts, createCallChecker } from './check-calls.ts';
import { createErasureChecker, type ErasureCounts } from './check-erasures.ts';
import { createEventChecker, type EventCounts } from './check-events.ts';
import { createReadChecker, type ReadCounts } from './check-reads.ts';
import { createEntityTags } from './entity-tags.ts';
import { createGenerationRule } from './generation-rule.ts';
import { createKnown, type Known } from './known.ts';
import { createOrderRule, type OrderCounts } from './order-rule.ts';
import { createProcessGrowth, type GrowthBounds } from './process-growth.ts';
import { createThroughput, type Recovery, type ThroughputOptions } from './throughput.ts';
import { createViolations, type Violations } from './violations.ts';
import { createWorkDone, type WorkCounts } from './work-done.ts';

export interface CheckerOptions {
  /** How long knowledge is kept, in milliseconds: longer than any call takes, even a call that misses its deadline. */
  readonly windowMs?: number;
  readonly throughput?: ThroughputOptions;
  readonly growth?: GrowthBounds;
}

export interface Checker extends HistorySink {
  readonly violations: Violations;
  readonly reads: ReadCounts;
  readonly events: EventCounts;
  readonly erasures: ErasureCounts;
  readonly calls: CallCounts;
  readonly assignments: AssignmentCounts;
  readonly order: OrderCounts;
  readonly work: WorkCounts;
  readonly recoveries: readonly Recovery[];
  /** Returns whether throughput has not yet recovered from the last fault. */
  isAwaitingThroughput(): boolean;
  /** Returns the number of good answers in each second. */
  rates(): readonly number[];
  /** The facts learned from the history. The stores are compared with them. */
  readonly known: Known;
  /** Ids of runs that were acknowledged. */
  readonly runs: ReadonlySet<string>;
}

const WINDOW_MS = 60_000;

export function createChecker(options: CheckerOptions = {}): Checker {
  const { windowMs = WINDOW_MS } = options;
  const violations = createViolations();
  const known = createKnown(windowMs);
  const calls = createCallChecker(known, violations);
  const generations = createGenerationRule(windowMs, violations);
  const assignments = createAssignmentRule(windowMs, violations);
  const order = createOrderRule(known, violations);
  const rules = { calls, generations, assignments, order, tags: createEntityTags(violations) };
  const reads = createReadChecker(known, rules, violations);
  const events = createEventChecker(known, calls, violations);
  const erasures = createErasureChecker(known, calls, violations);
  const throughput = createThroughput(violations, options.throughput);
  const growth = createProcessGrowth(violations, options.growth);
  const work = createWorkDone();
  const runs = new Set<string>();

  function takeChange({ userId, at, ended, score }: Change): void {
    if (score !== null && at > known.faults.historyCountsFrom())
      known.changes.raise(known.userOf(userId), ended, 0, score);
  }

  /** Records a change of a watched table. Its COMMIT is the acknowledgement: after it, no older answer is fresh. */
  function takeTableChange({ changes, values = [], at, ended }: TableChange): void {
    for (const { userId, score } of changes) {
      known.demand(known.userOf(userId), at, ended, 0, score);
      takeChange({ kind: 'change', userId, at, ended, score });
    }
    for (const { userId, value } of values) {
      const user = known.userOf(userId);
      known.sharing.add(user);
      if (at > known.faults.historyCountsFrom()) known.values.raise(user, ended, 0, value);
    }
  }

  function takeFault(fault: Fault): void {
    if (fault.losesHistory && fault.phase === 'begins') {
      known.forgetHistory();
      runs.clear();
    }
    known.faults.take(fault);
    order.take(fault);
    // An answer during the loss may still be of the old history.
    if (!fault.losesHistory) return;
    generations.forget(known.faults.historyCountsFrom());
    assignments.forget(known.faults.historyCountsFrom());
  }

  function check(operation: Operation): void {
    switch (operation.kind) {
      case 'contract':
        calls.learn(operation);
        break;
      case 'read':
        reads.check(operation);
        break;
      case 'event':
        events.checkSent(operation);
        break;
      case 'sql event':
        events.checkInserted(operation);
        break;
      case 'change':
        takeChange(operation);
        break;
      case 'table change':
        takeTableChange(operation);
        break;
      case 'run':
        calls.check(operation);
        // An event acknowledged while commits are being lost may be among them.
        if (operation.id !== null && operation.at > known.faults.historyCountsFrom()) runs.add(operation.id);
        break;
      case 'rollback':
        calls.check(operation);
        generations.rolledBack(operation);
        assignments.rolledBack(operation);
        order.rolledBack(operation, windowMs);
        break;
      case 'move intent':
        if (operation.move === 'start' && operation.arm) generations.mayReturn(operation.arm.version);
        assignments.intend(operation);
        order.intend(operation);
        break;
      case 'rollout':
        calls.check(operation);
        assignments.moved(operation);
        break;
      case 'survey':
        calls.check(operation);
        assignments.surveyed(operation);
        break;
      case 'generations':
        calls.check(operation);
        if (operation.at > known.faults.historyCountsFrom()) generations.listed(operation);
        break;
      case 'erasure intent':
        erasures.intend(operation);
        break;
      case 'erase':
      case 'readmit':
        erasures.check(operation);
        break;
      case 'fault':
        takeFault(operation);
        break;
      case 'process':
        growth.take(operation);
        break;
      case 'work':
        work.take(operation);
        break;
      case 'log':
        violations.note('leak', operation.leak, { name: operation.name });
    }
  }

  return {
    violations,
    known,
    runs,
    reads: reads.counts,
    events: events.counts,
    erasures: erasures.counts,
    calls: calls.counts,
    assignments: assignments.counts,
    order: order.counts,
    work: work.counts,
    recoveries: throughput.recoveries,
    isAwaitingThroughput: throughput.isAwaiting,
    rates: throughput.rates,
    write(operation) {
      throughput.take(operation);
      generations.settle(operation.ended);
      check(operation);
    },
    close() {
      throughput.finish();
      growth.finish();
      generations.settle(Number.POSITIVE_INFINITY);
    },
  };
}
