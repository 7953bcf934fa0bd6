/**
 * The negative controls: the protocol with one rule broken in the way of usual designs. The checker must find each
 * control; otherwise the models prove nothing. The protocol names some controls. Others break a rule of generations,
 * floor, runs or erasure that only the models have.
 */
import { type Exploration, explore } from './checker/explore.ts';
import { assignment } from './models/assignment.ts';
import type { AssignmentRules } from './models/assignment-state.ts';
import { bulkChange } from './models/bulk-change.ts';
import type { BulkRules } from './models/bulk-change-state.ts';
import { certifiedRead } from './models/certified-read.ts';
import { BROKEN, type ReadRules } from './models/certified-read-rules.ts';
import type { ReadScope } from './models/certified-read-state.ts';
import { conditionalRead } from './models/conditional-read.ts';
import { erasure } from './models/erasure.ts';
import type { ErasureRules, ErasureScope } from './models/erasure-state.ts';
import { type EventRuleRules, eventRules } from './models/event-rules.ts';
import { history } from './models/history.ts';
import type { HistoryRules, HistoryScope } from './models/history-state.ts';
import { layeredGeneration } from './models/layered-generation.ts';
import type { LayerRules, LayerScope } from './models/layered-generation-state.ts';
import { type LostCommitRules, type LostCommitScope, lostCommit } from './models/lost-commit.ts';
import { type MarkRules, type MarkScope, marks } from './models/marks.ts';
import { type ProtocolRules, protocolChange } from './models/protocol-change.ts';
import { type RefreshWindowRules, refreshWindow } from './models/refresh-window.ts';
import { rollout } from './models/rollout.ts';
import type { RolloutRules, RolloutScope } from './models/rollout-state.ts';
import { type RunRules, type RunScope, run } from './models/run.ts';
import { type RunStepRules, runSteps } from './models/run-steps.ts';
import { sharedRows } from './models/shared-rows.ts';
import type { SharedRowRules, SharedRowScope } from './models/shared-rows-state.ts';
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

export interface Control {
  readonly id: string;
  /** The broken rule. */
  readonly breaks: string;
  /**
   * Whether the control has no violation. This is N5 without faults, which explains why such a design passes ordinary
   * tests.
   */
  readonly isHarmless?: boolean;
  explore(): Exploration;
}

const READS: ReadScope = { events: ['http', 'sql'], workers: 1, readers: [false], faults: 0 };

const ORDER: ReadScope = { events: [], workers: 0, readers: [true, false], faults: 0 };

function read(id: string, breaks: string, rules: ReadRules, scope: Partial<ReadScope> = {}): Control {
  return { id, breaks, explore: () => explore(certifiedRead(rules, { ...READS, ...scope })) };
}

function moved(id: string, breaks: string, broken: Partial<AssignmentRules>, runs = 2): Control {
  const scope = { events: 1, runs, partialRuns: 1, rollbacks: 1, adoptions: 0, readers: 1, flushes: 0 };
  return { id, breaks, explore: () => explore(assignment({ ...ASSIGNMENT, ...broken }, scope)) };
}

function lost(id: string, breaks: string, broken: Partial<HistoryRules>, scope: Partial<HistoryScope>): Control {
  const whole = { events: 2, workers: 0, readers: 1, losses: 1, restarts: 0, claims: 2, flushes: 0, ...scope };
  return { id, breaks, explore: () => explore(history({ ...HISTORY, ...broken }, whole)) };
}

function restored(id: string, breaks: string, broken: Partial<MarkRules>, scope: Partial<MarkScope>): Control {
  const whole = { events: 2, marks: 1, others: 0, restarts: 0, flushes: 0, runs: 0, ...scope };
  return { id, breaks, explore: () => explore(marks({ ...MARKS, ...broken }, whole)) };
}

function shared(id: string, breaks: string, broken: Partial<SharedRowRules>, scope: Partial<SharedRowScope>): Control {
  const whole = { children: 1, moves: 0, bulkMoves: 0, isErased: false, ...scope };
  return { id, breaks, explore: () => explore(sharedRows({ ...SHARED_ROWS, ...broken }, whole)) };
}

function undone(id: string, breaks: string, broken: Partial<LostCommitRules>, isEvaded = true): Control {
  const scope: LostCommitScope = { events: 2, crashes: 1, readers: 3, isEvaded };
  return { id, breaks, explore: () => explore(lostCommit({ ...LOST_COMMITS, ...broken }, scope)) };
}

function layered(id: string, breaks: string, broken: Partial<LayerRules>, scope: Partial<LayerScope> = {}): Control {
  const whole = { events: 0, changes: 0, runs: 2, rollbacks: 0, readers: 1, losses: 0, ...scope };
  return { id, breaks, explore: () => explore(layeredGeneration({ ...LAYERS, ...broken }, whole)) };
}

function erased(id: string, breaks: string, broken: Partial<ErasureRules>, scope: Partial<ErasureScope>): Control {
  const few = { workers: [], readers: 1, erasures: 1, isOtherErased: false, outages: 1, faults: 0, runsOn: false };
  const whole = { ...few, isSaved: false, isLive: false, isLoading: false, ...scope };
  return { id, breaks, explore: () => explore(erasure({ ...ERASURE, ...broken }, whole)) };
}

function rolledOut(id: string, breaks: string, broken: Partial<RolloutRules>, scope: Partial<RolloutScope>): Control {
  const whole = { events: 0, rollouts: 1, runs: 0, readers: 1, ...scope };
  return { id, breaks, explore: () => explore(rollout({ ...ROLLOUT, ...broken }, whole)) };
}

function changed(id: string, breaks: string, broken: Partial<BulkRules>): Control {
  const scope = { changes: 1, events: 0, rollbacks: 1, runs: 1, partialRuns: 1, rescorings: 1, readers: 2 };
  return { id, breaks, explore: () => explore(bulkChange({ ...BULK, ...broken }, scope)) };
}

function widened(id: string, breaks: string, broken: Partial<EventRuleRules>, scope = {}): Control {
  const whole = { users: 1, events: [2], changes: 1, isNew: false, ...scope };
  return { id, breaks, explore: () => explore(eventRules({ ...EVENT_RULES, ...broken }, whole)) };
}

function ran(id: string, breaks: string, broken: Partial<RunRules>, scope: Partial<RunScope> = {}): Control {
  const whole = { chunks: 2, users: 1, workers: 2, faults: 2, splits: 0, leaves: 0, failsOver: false, ...scope };
  return { id, breaks, explore: () => explore(run({ ...RUN, ...broken }, whole)) };
}

function stepped(id: string, breaks: string, broken: Partial<RunStepRules>): Control {
  const scope = { runs: 2, workers: 2, faults: 2 };
  return { id, breaks, explore: () => explore(runSteps({ ...RUN_STEPS, ...broken }, scope)) };
}

function rescored(id: string, breaks: string, broken: Partial<RefreshWindowRules>): Control {
  const scope = { events: 2, workers: 2, ticks: 2, reads: 0, losses: 0 };
  return { id, breaks, explore: () => explore(refreshWindow({ ...REFRESH_WINDOW, ...broken }, scope)) };
}

const ONE_SPLIT = { chunks: 1, users: 2, splits: 1 };
const ONE_EVENT = { events: ['http'], workers: 1, readers: [false] } as const;

function ofProtocol(id: string, breaks: string, broken: Partial<ProtocolRules>): Control {
  return { id, breaks, explore: () => explore(protocolChange({ ...PROTOCOL_CHANGE, ...broken }, 2)) };
}

export const CONTROLS: readonly Control[] = [
  read('N1', 'a prediction is stamped when it is complete, and compared by time', BROKEN.N1),
  read('N2', "a prediction is stamped at its read; an event's time is the start of its transaction", BROKEN.N2),
  read('N3', 'a prediction is stamped by a worker whose clock is ahead', BROKEN.N3),
  read('N4', 'an event deletes the key; writers set it', BROKEN.N4),
  { ...read('N5', 'the version is in Redis only; nothing fails', BROKEN.N5, ONE_EVENT), isHarmless: true },
  read('N6', 'N5, and Redis loses everything or returns to an old copy', BROKEN.N5, { ...ONE_EVENT, faults: 1 }),
  read('N7', 'N5, and the version may fail to be raised', BROKEN.N7),
  read('N8', 'features are read first, and the version in a later statement', BROKEN.N8),
  read('N9', 'the certificate may come from a statement that began before the read', BROKEN.N9),
  read('N10', 'a poller raises the version of events in SQL', BROKEN.N10),
  moved('N11', 'readers trust the pointer in Redis', { pointer: 'redis' }),
  read('N13', "the row of a user's version is deleted, and the next event starts again at 1", BROKEN.N13, {
    events: ['http', 'http'],
  }),
  {
    id: 'N12',
    breaks: 'an ETag depends only on the prediction',
    explore: () => explore(conditionalRead({ tag: 'the prediction alone' }, 3)),
  },
  ofProtocol('P1', 'the number of the protocol is read when a connection is made', { reads: 'when it connects' }),
  ofProtocol('P2', 'the number of the protocol is read when a chunk is claimed', { writes: 'when it claims' }),
  ofProtocol('P3', 'the number is raised while a transaction that has read it is open', { raises: 'beside writers' }),
  ofProtocol('P4', 'keys in Redis are the same under each number', { keys: 'are the same' }),
  ofProtocol('P5', 'keys in Redis name the number that the schema states at the load', {
    keys: 'name the number at the load',
  }),
  lost('Q1', 'versions are compared without their history', { compares: 'version' }, { readers: 2 }),
  lost('Q2', 'the timeline cannot be read, and no start time replaces it', { names: 'neither' }, { readers: 2 }),
  erased('Q3', 'an erased user starts again at 0', { tombstone: 'dropped' }, { workers: ['all'], outages: 0 }),
  restored(
    'H1',
    'a mark that cannot be recalled counts as missing, and is overwritten',
    { recall: 'counts as empty' },
    { restarts: 1 },
  ),
  restored('M16', 'a process trusts Redis before it has recalled its mark', { reads: 'at once' }, { restarts: 1 }),
  restored(
    'M17',
    'a mark is stored over another that was not recalled',
    { keeps: 'whatever is there' },
    { marks: 2, others: 1 },
  ),
  restored('M19', 'a run is published before its history is proven', { publishes: 'at once' }, { runs: 1 }),
  restored(
    'M18',
    "a new connection looks only for the process' own mark",
    { connects: "for the process' own" },
    { others: 1 },
  ),
  undone('D1', 'an event commits as durably as its session asks', { durability: 'as asked' }, false),
  undone('D2', 'a label above the version of the certificate is served at once', { ahead: 'served at once' }),
  undone('D3', 'a label from before a crash is refused, but no other history begins', { lost: 'refuses the label' }),
  undone('D4', 'the label of a shared flight is not compared again', { ahead: 'certified again, but not of flights' }),
  lost(
    'M1',
    'a run that begins again after a failover keeps the id of its generation',
    { id: 'kept' },
    { workers: 1, events: 1, claims: 1 },
  ),
  lost(
    'M2',
    'a run that begins again gets a new id, but reads it when rows are loaded, not when they are committed',
    { id: 'asked late' },
    { workers: 2, events: 1, claims: 1 },
  ),
  moved('M3', 'a rollback does not raise the floor', { floor: 'left' }, 1),
  moved('M4', 'a run that was requested before a rollback publishes its generation after it', { publishes: 'always' }),
  erased(
    'M5',
    'unverified by run id: an erasure between check and commit of a chunk',
    { unverified: 'server' },
    { workers: ['all'] },
  ),
  erased(
    'M6',
    'unverified by run id: Redis returned to an old copy',
    { unverified: 'server' },
    { faults: 1, isSaved: true },
  ),
  ran('M7', 'a commit does not check the fence', { fence: 'is not looked at' }),
  ran('M8', 'no reconciler looks for unfinished work', { reconciler: 'never' }),
  ran('M9', 'the chunk with the last number publishes, in any state of the others', {
    publishes: 'when its own was the last number',
  }),
  ran('S1', 'a part of a chunk is committed without a check of the fence', { splits: 'whatever the fence' }, ONE_SPLIT),
  ran('S2', 'a chunk that is split off is inserted after the commit', { handsBack: 'after the commit' }, ONE_SPLIT),
  ran(
    'S3',
    'a run that begins again keeps the chunks that were split off',
    { restart: 'keeps what was split off' },
    { ...ONE_SPLIT, failsOver: true },
  ),
  stepped('M16', 'a plan or publication does not check the fence', { fence: 'is not looked at' }),
  stepped('M17', 'a cancelled run keeps the claim of its step', { cancel: 'leaves the claim' }),
  stepped('M20', 'a step is claimed while another run of the predictor has the same step', {
    claims: 'as many as there are',
  }),
  read('M10', 'a reader takes a finished result with any label', BROKEN.M10, {
    events: ['sql', 'sql'],
    workers: 0,
    readers: [false, false],
  }),
  read('O1', 'of several fresh candidates, the row of the generation answers', BROKEN.O1, ORDER),
  read('O2', 'memory answers although the certificate names a demanded answer that is newer', BROKEN.O2, ORDER),
  read('O3', 'a demanded answer is written to Postgres after it is given', BROKEN.O3, ORDER),
  read('F1', 'a re-scoring is labelled with the version that the queue names once it is complete', BROKEN.F1, {
    ...{ events: ['sql', 'sql'], workers: 0, rescorers: 1 },
  }),
  erased(
    'M11',
    'unverified: a read notes the Redis server after its certificate, not before',
    { seesServer: 'after' },
    { faults: 1, isSaved: true },
  ),
  erased(
    'M12',
    'unverified: an erasure that reaches Redis late sets a count that Redis lost',
    { tells: 'sets' },
    { isLive: true, isOtherErased: true, faults: 1, runsOn: true },
  ),
  erased(
    'M13',
    'unverified: an erasure does not clear the announcement of an earlier restore of the count',
    { tells: 'raises, announcements stay' },
    { isLoading: true, faults: 1, runsOn: true },
  ),
  rolledOut(
    'R1',
    'a process keeps the arms of an earlier certificate for some time',
    { assignment: 'kept by the process' },
    { readers: 2 },
  ),
  rolledOut('R2', 'an entry of the overlay fits any arm of the user', { overlay: 'any arm' }, { readers: 2 }),
  rolledOut('R3', 'each step assigns users to arms again', { bucket: 'drawn again at each step' }, { readers: 2 }),
  rolledOut(
    'M14',
    "a rollout's arm has the floor of the stable arm",
    { floor: "the stable arm's" },
    { rollouts: 2, readers: 2 },
  ),
  rolledOut(
    'M15',
    'a run publishes its generation in the stable arm, with any version',
    { publishes: 'in the stable arm' },
    { runs: 1 },
  ),
  changed('B1', 'a run notes the source version when it commits', { runNotes: 'when it commits' }),
  changed('B2', 'a poller raises the source version after the change', { raised: 'by a poller' }),
  changed('B3', 'a live result is stored under the floor at its storing, not under its certificate’s', {
    liveFloor: 'when it is stored',
  }),
  changed('F2', 'a re-scoring is stored under the floor at its storing, not under an earlier one', {
    rescoredFloor: 'when it is stored',
  }),
  changed('B4', 'readers share a flight with any floor', { shares: 'by version' }),
  changed('B5', 'the floor is the greater of rollbacks and bulk changes', { floor: 'greater of the two' }),
  rescored('F3', 'each worker has its own windows', { claim: 'of the worker' }),
  rescored('F4', 'an event of a user who is being inferred is not queued', { during: 'left to the inference' }),
  widened('W1', 'the flag is cleared before all contexts are rewritten', { clears: 'while some are left' }),
  widened('W2', 'a reader of `touched` ignores the flag', { reader: 'ignores the flag' }),
  widened('W3', 'contexts are rewritten while events by earlier rules are open', { rewrites: 'at once' }),
  widened(
    'W4',
    'another change does not restart the rewrite',
    { change: 'leaves its place' },
    { events: [3], changes: 2 },
  ),
  widened(
    'W5',
    'the end of the awaited transactions settles a later change, too',
    { settles: 'whatever is there' },
    { events: [3], changes: 2 },
  ),
  widened(
    'W6',
    'a new predictor is served while events by earlier rules are open',
    { serves: 'at once' },
    { events: [1], isNew: true },
  ),
  shared('K1', 'a key is looked up in the statement', { looksUp: 'in the statement' }, { moves: 1 }),
  shared('K2', "a key is looked up at commit, before the user's row is locked", { looksUp: 'at commit' }, { moves: 1 }),
  shared('K3', 'a bulk change does not exclude look-ups', { bulk: 'locks nothing' }, { bulkMoves: 1 }),
  shared('K4', 'a change skips an erased user without a lock', { erased: 'skipped' }, { isErased: true }),
  layered(
    'L1',
    'a row of the base is judged by the source version of the run above it',
    { outdated: 'by the run of the generation above' },
    { changes: 1 },
  ),
  layered('L2', 'a budgeted run carries rows over from before a bulk change', { carries: 'all' }, { changes: 1 }),
  layered(
    'L3',
    'a reader uses the base that its process knew before',
    { base: 'known before' },
    { readers: 2, runs: 3 },
  ),
  layered('L4', 'the base of a kept generation is dropped', { drops: 'any that no arm names' }),
  layered('L5', 'an answer from the base names the generation above', {
    number: 'of the generation above',
  }),
  layered('L6', 'Redis offers the base whenever the generation above lacks the user', { offers: 'always' }),
  layered('L7', 'memory of a base outlives another publication above it', { memory: 'by the layer' }, { readers: 2 }),
];
