/** The scopes to explore exhaustively: small by `npm test`, medium by `npm run test:long`, large by main.ts. */
import { type Exploration, explore } from './checker/explore.ts';
import { assignment } from './models/assignment.ts';
import type { AssignmentScope } from './models/assignment-state.ts';
import { bulkChange } from './models/bulk-change.ts';
import type { BulkScope } from './models/bulk-change-state.ts';
import { certifiedRead } from './models/certified-read.ts';
import { ORDERED, PROTOCOL } from './models/certified-read-rules.ts';
import type { ReadScope } from './models/certified-read-state.ts';
import { conditionalRead } from './models/conditional-read.ts';
import { erasure } from './models/erasure.ts';
import type { ErasureScope } from './models/erasure-state.ts';
import { type EventRuleScope, eventRules } from './models/event-rules.ts';
import { history } from './models/history.ts';
import type { HistoryScope } from './models/history-state.ts';
import { layeredGeneration } from './models/layered-generation.ts';
import type { LayerScope } from './models/layered-generation-state.ts';
import { type LostCommitScope, lostCommit } from './models/lost-commit.ts';
import { type MarkScope, marks } from './models/marks.ts';
import { protocolChange } from './models/protocol-change.ts';
import { type RefreshWindowScope, refreshWindow } from './models/refresh-window.ts';
import { rollout } from './models/rollout.ts';
import type { RolloutScope } from './models/rollout-state.ts';
import { type RunScope, run } from './models/run.ts';
import { type RunStepScope, runSteps } from './models/run-steps.ts';
import { sharedRows } from './models/shared-rows.ts';
import type { SharedRowScope } from './models/shared-rows-state.ts';
import {
  ASSIGNMENT,
  BULK,
  ERASURE,
  EVENT_RULES,
  HISTORY,
  LAYERS,
  LOST_COMMITS,
  MARKS,
  PROTOCOL_CHANGE,
  REFRESH_WINDOW,
  ROLLOUT,
  RUN,
  RUN_STEPS,
  SHARED_ROWS,
} from './protocol.ts';

export interface Check {
  readonly name: string;
  /** The scope as a text with the number of each part of the model. */
  readonly scope: string;
  explore(): Exploration;
}

function reads(scope: ReadScope): Check {
  return { name: 'certified read', scope: told(scope), explore: () => explore(certifiedRead(PROTOCOL, scope)) };
}

/** Checks that answers do not step back either. */
function ordered(scope: ReadScope): Check {
  const name = 'certified read in order';
  return { name, scope: told(scope), explore: () => explore(certifiedRead(ORDERED, scope)) };
}

function histories(scope: HistoryScope): Check {
  return { name: 'history', scope: told(scope), explore: () => explore(history(HISTORY, scope)) };
}

/** Checks histories on a server whose timeline cannot be read. */
function byStartTime(scope: HistoryScope): Check {
  const rules = { ...HISTORY, names: 'start time' } as const;
  return { name: 'history by start time', scope: told(scope), explore: () => explore(history(rules, scope)) };
}

function unannounced(scope: MarkScope): Check {
  return { name: 'marks', scope: told(scope), explore: () => explore(marks(MARKS, scope)) };
}

function lostCommits(scope: LostCommitScope): Check {
  return { name: 'lost commit', scope: told(scope), explore: () => explore(lostCommit(LOST_COMMITS, scope)) };
}

function assignments(scope: AssignmentScope): Check {
  return { name: 'assignment', scope: told(scope), explore: () => explore(assignment(ASSIGNMENT, scope)) };
}

function rollouts(scope: RolloutScope): Check {
  return { name: 'rollout', scope: told(scope), explore: () => explore(rollout(ROLLOUT, scope)) };
}

function bulkChanges(scope: BulkScope): Check {
  return { name: 'bulk change', scope: told(scope), explore: () => explore(bulkChange(BULK, scope)) };
}

function layers(scope: LayerScope): Check {
  return { name: 'layered generation', scope: told(scope), explore: () => explore(layeredGeneration(LAYERS, scope)) };
}

function erasures(scope: ErasureScope): Check {
  return { name: 'erasure', scope: told(scope), explore: () => explore(erasure(ERASURE, scope)) };
}

function windows(scope: RefreshWindowScope): Check {
  return { name: 'refresh window', scope: told(scope), explore: () => explore(refreshWindow(REFRESH_WINDOW, scope)) };
}

function changedRules(scope: EventRuleScope): Check {
  return { name: 'event rules', scope: told(scope), explore: () => explore(eventRules(EVENT_RULES, scope)) };
}

function runs(scope: RunScope): Check {
  return { name: 'run', scope: told(scope), explore: () => explore(run(RUN, scope)) };
}

function steps(scope: RunStepScope): Check {
  return { name: 'run steps', scope: told(scope), explore: () => explore(runSteps(RUN_STEPS, scope)) };
}

function shared(scope: SharedRowScope): Check {
  return { name: 'shared rows', scope: told(scope), explore: () => explore(sharedRows(SHARED_ROWS, scope)) };
}

function protocolChanges(most: number): Check {
  return {
    name: 'protocol change',
    scope: `reads ${most}, claims ${most}`,
    explore: () => explore(protocolChange(PROTOCOL_CHANGE, most)),
  };
}

function conditionalReads(reads: number): Check {
  const explored = () => explore(conditionalRead({ tag: 'all that decides an answer' }, reads));
  return { name: 'conditional read', scope: `reads ${reads}, events 2`, explore: explored };
}

function told(scope: object): string {
  const text = (value: unknown) => (Array.isArray(value) ? value.map(nameOf).join('+') || 'none' : nameOf(value));
  return Object.entries(scope)
    .filter(([, value]) => value !== 0 && value !== false)
    .map(([name, value]) => (value === true ? name : `${name} ${text(value)}`))
    .join(', ');
}

function nameOf(value: unknown): string {
  return typeof value === 'boolean' ? (value ? 'no-cache' : 'plain') : String(value);
}

/**
 * The scope of one erasure. One reader is enough, because a separate step gives the process knowledge from other reads.
 */
const ONE_ERASURE: ErasureScope = {
  ...{ workers: [], readers: 1, erasures: 1, isOtherErased: false, outages: 1, faults: 0, runsOn: false },
  ...{ isSaved: false, isLive: false, isLoading: false },
};
const ONE_LOSS = { losses: 1, restarts: 0, claims: 2, flushes: 0 };
const ONE_RESTART = { losses: 1, restarts: 1, claims: 1, flushes: 0 };
const ONE_MOVE = { events: 1, runs: 1, partialRuns: 1, rollbacks: 1, adoptions: 0, readers: 1, flushes: 0 };

const ONE_BULK = { changes: 1, events: 1, rollbacks: 1, runs: 1, partialRuns: 1, readers: 1 };

const ONE_LAYER = { events: 1, changes: 0, runs: 2, rollbacks: 0, readers: 1, losses: 0 };
const ONE_RUN = { chunks: 1, users: 1, workers: 2, faults: 2, splits: 0, leaves: 0, failsOver: false };

const ONE_ROLLOUT = { events: 1, rollouts: 1, runs: 0, readers: 1 };

export const SMALL: readonly Check[] = [
  reads({ events: ['http', 'sql'], workers: 1, readers: [false], faults: 0 }),
  reads({ events: ['http'], workers: 1, readers: [false, true], faults: 0 }),
  reads({ events: ['sql'], workers: 1, readers: [false], faults: 1 }),
  reads({ events: ['http'], workers: 0, rescorers: 1, readers: [false], faults: 0 }),
  ordered({ events: [], workers: 1, readers: [true, false], faults: 1 }),
  ordered({ events: ['sql'], workers: 0, readers: [true, false], faults: 0 }),
  histories({ events: 1, workers: 1, readers: 1, ...ONE_LOSS }),
  histories({ events: 2, workers: 0, readers: 2, ...ONE_LOSS }),
  byStartTime({ events: 1, workers: 1, readers: 1, ...ONE_RESTART }),
  byStartTime({ events: 2, workers: 0, readers: 1, ...ONE_RESTART }),
  unannounced({ events: 2, marks: 1, others: 0, restarts: 1, flushes: 0, runs: 0 }),
  unannounced({ events: 2, marks: 1, others: 1, restarts: 0, flushes: 0, runs: 0 }),
  unannounced({ events: 2, marks: 1, others: 0, restarts: 0, flushes: 0, runs: 1 }),
  lostCommits({ events: 3, crashes: 1, readers: 3, isEvaded: false }),
  lostCommits({ events: 2, crashes: 1, readers: 3, isEvaded: true }),
  assignments(ONE_MOVE),
  assignments({ ...ONE_MOVE, runs: 2, partialRuns: 0, rollbacks: 1 }),
  assignments({ ...ONE_MOVE, runs: 0, rollbacks: 0, adoptions: 2 }),
  rollouts({ ...ONE_ROLLOUT, runs: 1 }),
  rollouts({ ...ONE_ROLLOUT, readers: 2 }),
  rollouts({ ...ONE_ROLLOUT, events: 0, rollouts: 2, readers: 2 }),
  bulkChanges({ ...ONE_BULK, rollbacks: 0 }),
  bulkChanges({ ...ONE_BULK, events: 0, partialRuns: 0, readers: 2 }),
  bulkChanges({ ...ONE_BULK, runs: 0, partialRuns: 0, rescorings: 1 }),
  layers(ONE_LAYER),
  erasures({ ...ONE_ERASURE, workers: ['all'], outages: 0 }),
  erasures({ ...ONE_ERASURE, workers: ['users'], outages: 0 }),
  erasures({ ...ONE_ERASURE, isLive: true, isLoading: true }),
  changedRules({ users: 2, events: [2, 2], changes: 1, isNew: false }),
  changedRules({ users: 1, events: [2, 3], changes: 2, isNew: false }),
  changedRules({ users: 1, events: [1, 2], changes: 2, isNew: true }),
  runs({ ...ONE_RUN, chunks: 2, workers: 2, faults: 3 }),
  runs({ ...ONE_RUN, users: 2, splits: 1, leaves: 2, faults: 1, failsOver: true }),
  steps({ runs: 2, workers: 2, faults: 3 }),
  shared({ children: 2, moves: 1, bulkMoves: 1, isErased: false }),
  shared({ children: 1, moves: 1, bulkMoves: 1, isErased: true }),
  conditionalReads(3),
  protocolChanges(3),
  windows({ events: 2, workers: 2, ticks: 2, reads: 1, losses: 1 }),
];

/** Checks that take between 0.8 and 30 s of CPU. */
export const MEDIUM: readonly Check[] = [
  reads({ events: ['sql', 'sql'], workers: 0, rescorers: 1, readers: [false], faults: 0 }),
  ordered({ events: ['sql'], workers: 0, readers: [true, false, false], faults: 0 }),
  ordered({ events: [], workers: 1, readers: [true, false, false], faults: 0 }),
  reads({ events: ['http'], workers: 0, rescorers: 1, readers: [false], faults: 1 }),
  byStartTime({ events: 2, workers: 1, readers: 1, ...ONE_RESTART }),
  changedRules({ users: 2, events: [2, 3], changes: 2, isNew: false }),
  histories({ events: 2, workers: 1, readers: 1, ...ONE_LOSS }),
  unannounced({ events: 2, marks: 2, others: 0, restarts: 1, flushes: 0, runs: 0 }),
  unannounced({ events: 2, marks: 2, others: 1, restarts: 0, flushes: 0, runs: 0 }),
  unannounced({ events: 1, marks: 2, others: 0, restarts: 0, flushes: 0, runs: 1 }),
  unannounced({ events: 1, marks: 1, others: 0, restarts: 1, flushes: 0, runs: 1 }),
  lostCommits({ events: 3, crashes: 2, readers: 3, isEvaded: true }),
  bulkChanges(ONE_BULK),
  layers({ ...ONE_LAYER, changes: 1 }),
  layers({ ...ONE_LAYER, events: 0, rollbacks: 1, readers: 2 }),
  bulkChanges({ ...ONE_BULK, changes: 2, events: 0, rollbacks: 0, partialRuns: 0, readers: 2 }),
  erasures({ ...ONE_ERASURE, workers: ['all'] }),
  erasures({ ...ONE_ERASURE, workers: ['users'] }),
  unannounced({ events: 2, marks: 2, others: 1, restarts: 1, flushes: 0, runs: 0 }),
  unannounced({ events: 1, marks: 2, others: 1, restarts: 1, flushes: 0, runs: 1 }),
  assignments({ ...ONE_MOVE, runs: 2, partialRuns: 0, rollbacks: 2 }),
  runs({ ...ONE_RUN, users: 3, splits: 2, leaves: 1, failsOver: true }),
  shared({ children: 2, moves: 2, bulkMoves: 1, isErased: false }),
];

export const LARGE: readonly Check[] = [
  ...SMALL,
  ...MEDIUM,
  windows({ events: 3, workers: 3, ticks: 3, reads: 1, losses: 1 }),
  changedRules({ users: 3, events: [2, 2, 3], changes: 2, isNew: false }),
  erasures({ ...ONE_ERASURE, workers: ['users'], isOtherErased: true, faults: 1, runsOn: true }),
  erasures({ ...ONE_ERASURE, faults: 1 }),
  reads({ events: ['http', 'sql'], workers: 1, readers: [false, true], faults: 0 }),
  reads({ events: ['http', 'sql'], workers: 2, readers: [false], faults: 0 }),
  reads({ events: ['http', 'sql'], workers: 1, rescorers: 1, readers: [false], faults: 0 }),
  reads({ events: ['http', 'sql'], workers: 0, rescorers: 2, readers: [false], faults: 0 }),
  reads({ events: ['sql', 'sql'], workers: 0, rescorers: 1, readers: [false, true], faults: 1 }),
  ordered({ events: ['sql'], workers: 1, readers: [true, false], faults: 1 }),
  histories({ events: 3, workers: 1, readers: 1, ...ONE_LOSS, losses: 2 }),
  histories({ events: 2, workers: 2, readers: 1, ...ONE_LOSS }),
  histories({ events: 1, workers: 1, readers: 2, ...ONE_LOSS }),
  byStartTime({ events: 2, workers: 1, readers: 1, ...ONE_RESTART, claims: 2 }),
  byStartTime({ events: 2, workers: 0, readers: 2, ...ONE_RESTART, restarts: 2 }),
  unannounced({ events: 2, marks: 3, others: 2, restarts: 1, flushes: 1, runs: 0 }),
  unannounced({ events: 2, marks: 2, others: 1, restarts: 1, flushes: 1, runs: 1 }),
  assignments({ ...ONE_MOVE, flushes: 1 }),
  assignments({ ...ONE_MOVE, runs: 2 }),
  rollouts({ ...ONE_ROLLOUT, rollouts: 2, runs: 2 }),
  rollouts({ ...ONE_ROLLOUT, runs: 1, readers: 2 }),
  bulkChanges({ ...ONE_BULK, changes: 2, events: 0, rollbacks: 0, readers: 2 }),
  layers({ ...ONE_LAYER, events: 0, changes: 1, runs: 3 }),
  layers({ ...ONE_LAYER, events: 0, runs: 3, readers: 2 }),
  layers({ ...ONE_LAYER, readers: 2, losses: 1 }),
  layers({ ...ONE_LAYER, changes: 1, rollbacks: 1 }),
  bulkChanges({ ...ONE_BULK, changes: 2, events: 0, partialRuns: 0, runs: 2 }),
  erasures({ ...ONE_ERASURE, isLoading: true, faults: 1 }),
  erasures({ ...ONE_ERASURE, isLoading: true, isOtherErased: true, faults: 2, runsOn: true }),
  erasures({ ...ONE_ERASURE, isLive: true, faults: 1 }),
  runs({ ...ONE_RUN, chunks: 3, workers: 3, faults: 3 }),
  runs({ ...ONE_RUN, chunks: 2, users: 2, workers: 2, faults: 2, splits: 2, leaves: 1, failsOver: true }),
  steps({ runs: 2, workers: 3, faults: 4 }),
  shared({ children: 2, moves: 2, bulkMoves: 1, isErased: true }),
];
