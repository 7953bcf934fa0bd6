/** The correct rules of each model; certified-read.ts has its own file of rules. */
import type { AssignmentRules } from './models/assignment-state.ts';
import type { BulkRules } from './models/bulk-change-state.ts';
import type { ErasureRules } from './models/erasure-state.ts';
import type { EventRuleRules } from './models/event-rules.ts';
import type { HistoryRules } from './models/history-state.ts';
import type { LayerRules } from './models/layered-generation-state.ts';
import type { LostCommitRules } from './models/lost-commit.ts';
import type { MarkRules } from './models/marks.ts';
import type { ProtocolRules } from './models/protocol-change.ts';
import type { RefreshWindowRules } from './models/refresh-window.ts';
import type { RolloutRules } from './models/rollout-state.ts';
import type { RunRules } from './models/run.ts';
import type { RunStepRules } from './models/run-steps.ts';
import type { SharedRowRules } from './models/shared-rows-state.ts';

export const ASSIGNMENT: AssignmentRules = { pointer: 'postgres', floor: 'raised', publishes: 'not past a rollback' };
export const BULK: BulkRules = {
  runNotes: 'before it reads',
  raised: 'in the transaction',
  liveFloor: 'of the certificate',
  rescoredFloor: 'asked before',
  shares: 'by floor',
  floor: 'sum',
};
export const ERASURE: ErasureRules = {
  tombstone: 'kept',
  unverified: 'server and count',
  tells: 'raises',
  restores: 'guarded',
  seesServer: 'before',
};
export const EVENT_RULES: EventRuleRules = {
  reader: 'takes the version while the flag is set',
  rewrites: 'once older transactions have ended',
  clears: 'once all are rewritten',
  change: 'starts it again',
  settles: 'the change that it waited for',
  serves: 'once older transactions have ended',
};
export const HISTORY: HistoryRules = {
  compares: 'history and version',
  names: 'timeline',
  id: 'new in each history',
};
export const LAYERS: LayerRules = {
  outdated: 'by the run of its layer',
  carries: 'of the same source version',
  base: 'of the certificate',
  drops: 'no base of another',
  number: 'of its layer',
  offers: 'below whole buckets',
  memory: 'by the assigned generation',
};
export const LOST_COMMITS: LostCommitRules = {
  durability: 'at commit',
  ahead: 'certified again',
  lost: 'rotates the history',
};
export const MARKS: MarkRules = {
  recall: 'no recall, no keep',
  keeps: 'onto what was recalled',
  reads: 'once sure',
  connects: 'for every mark',
  publishes: 'once the past is proven',
};
export const PROTOCOL_CHANGE: ProtocolRules = {
  reads: 'with each certificate',
  writes: 'in its transaction',
  raises: 'once writers have ended',
  keys: 'name the number of the release',
};
export const REFRESH_WINDOW: RefreshWindowRules = { claim: 'shared', during: 'queued again' };
export const ROLLOUT: RolloutRules = {
  assignment: 'certificate',
  overlay: 'its model version and floor',
  bucket: 'for as long as it lasts',
  floor: 'above all that there were',
  publishes: 'in the arm of its version and floor',
};
export const RUN: RunRules = {
  fence: 'guards the commit',
  reconciler: 'comes by',
  publishes: 'when no chunk is open',
  splits: 'under the fence',
  handsBack: 'in the commit',
  restart: 'empties what was split off',
};
export const RUN_STEPS: RunStepRules = { fence: 'guards the write', cancel: 'ends the claim', claims: 'one of a kind' };
export const SHARED_ROWS: SharedRowRules = {
  looksUp: 'again under the lock',
  bulk: 'excludes look-ups',
  erased: 'locked',
};
