/** Generated from the migrated schema by `npm run generate:database` (scripts/generate-database.ts). Do not edit. */

import type { Judgement } from '@tandem/experiment/verdict/rollout-figures';
import type { ContextFeatures } from '@tandem/freshness/features';
import type { ModelDefinition, Policy } from '@tandem/freshness/predictor';
import type { RolloutPlan } from '@tandem/freshness/rollout';
import type { KeptInputs, NoInputs, ServedAnswer } from '@tandem/prediction/explanations/kept-explanation';
import type { Scope } from '@tandem/prediction/keys/api-key';
import type { ArmCounts } from '@tandem/prediction/rollouts/arm-counts';
import type { ServedSource } from '@tandem/prediction/rollouts/exposures';
import type { ShadowCounts } from '@tandem/prediction/shadow/shadow-counts';
import type { ColumnType, Generated, GeneratedAlways } from 'kysely';
import type { AuditAction } from './audit.ts';

/** Written as a text: the driver would send an array as one of Postgres. */
type Json<Read, Written = string> = ColumnType<Read, Written, Exclude<Written, undefined>>;

export interface Database {
  'tandem.api_keys': {
    id: string;
    name: string;
    kind: 'live' | 'test';
    scopes: Scope[];
    digest: Buffer;
    previous_digest: Buffer | null;
    previous_until: Date | null;
    pepper_id: string;
    requests_per_second: number | null;
    live_per_second: number | null;
    created_at: Generated<Date>;
    rotated_at: Date | null;
    expires_at: Date | null;
    revoked_at: Date | null;
  };
  'tandem.api_keys_version': {
    one: Generated<boolean>;
    version: Generated<string>;
  };
  'tandem.arm_counts': {
    rollout_id: string;
    step: number;
    arm: string;
    source: ServedSource;
    process_id: string;
    counts: Json<ArmCounts>;
    updated_at: Generated<Date>;
  };
  'tandem.arm_overrides': {
    rollout_id: string;
    user_id: string;
    arm: string;
  };
  'tandem.arms': {
    predictor: string;
    name: Generated<string>;
    model_version_id: string;
    generation_id: string | null;
    overlay_floor: Generated<number>;
    revision: Generated<number>;
    expires_from: Date | null;
    rollout_id: string | null;
    first_bucket: Generated<number>;
    end_bucket: Generated<number>;
  };
  'tandem.artifact_parts': {
    hash: string;
    first_byte: number;
    total: number;
    bytes: Buffer;
    uploaded_at: Generated<Date>;
  };
  'tandem.artifacts': {
    hash: string;
    bytes: Buffer | null;
    created_at: Generated<Date>;
    location: string | null;
    size: number;
  };
  'tandem.audit': {
    seq: GeneratedAlways<number>;
    at: Generated<Date>;
    actor: string;
    action: AuditAction;
    predictor: string | null;
    detail: Json<Record<string, unknown>, string | undefined>;
  };
  'tandem.awaited_versions': {
    model_version_id: string;
    until: Date;
  };
  'tandem.chunks': {
    run_id: string;
    no: number;
    from_key: string | null;
    to_key: string | null;
    user_ids: string[] | null;
    state: Generated<'waiting' | 'claimed' | 'committed' | 'failed' | 'cancelled'>;
    fence: Generated<number>;
    lease_until: Date | null;
    attempts: Generated<number>;
    lost_leases: Generated<number>;
    error: string | null;
    scored: Generated<number>;
    failed: Generated<number>;
    loaded: Generated<boolean>;
  };
  'tandem.erasures': {
    number: number;
    user_id: string;
    deleted_version: number;
    erased_at: Generated<Date>;
    sweeps: Generated<number>;
    sweep_at: Date | null;
  };
  'tandem.event_ids': {
    source: string;
    id: string;
    payload_hash: Buffer;
    user_id: string;
    context_version: number;
    accepted_at: Generated<Date>;
  };
  'tandem.event_rules': {
    one: Generated<boolean>;
    changed_at: Generated<Date>;
  };
  'tandem.events': {
    seq: number;
    source: Generated<string>;
    id: Generated<string>;
    type: Generated<string>;
    user_id: string;
    time: Date | null;
    data: Json<unknown | null, string | null>;
    accepted_at: Generated<Date>;
  };
  'tandem.exposures': {
    rollout_id: string;
    step: number;
    user_id: string;
    arm: string;
    source: ServedSource;
    at: Date;
    context_version: number;
  };
  'tandem.generation_movers': {
    generation_id: string;
    user_id: string;
    before: number;
    now: number;
    delta: number;
  };
  'tandem.generation_reports': {
    generation_id: string;
    against_generation_id: string | null;
    verdict: 'passed' | 'blocked' | 'not_compared';
    report: Json<unknown>;
    made_at: Generated<Date>;
  };
  'tandem.generations': {
    id: Generated<string>;
    predictor: string;
    number: number;
    model_version_id: string;
    run_id: string;
    state: Generated<'building' | 'published' | 'dropped'>;
    history: string;
    buckets: number;
    started_at: Generated<Date>;
    published_at: Date | null;
    left_at: Date | null;
    users: Generated<number>;
    last_use: Generated<number>;
  };
  'tandem.history_marks': {
    seq: GeneratedAlways<number>;
    mark: Generated<string>;
    left_at: Generated<Date>;
  };
  'tandem.history_rotation': {
    one: Generated<boolean>;
    rotation: Generated<string>;
    rotated_at: Generated<Date>;
  };
  'tandem.kept_explanations': {
    id: Generated<string>;
    number: GeneratedAlways<number>;
    predictor: string;
    user_id: string;
    model_version_id: string;
    at: Date;
    keep_until: Date;
    context_version: number;
    answer: Json<Omit<ServedAnswer, 'lastConcerningVersion'> & Partial<ServedAnswer>>;
    inputs: Json<KeptInputs | NoInputs>;
  };
  'tandem.loaded_versions': {
    process_id: string;
    model_version_id: string;
    state: 'loading' | 'ready' | 'failed';
    error: string | null;
    at: Generated<Date>;
  };
  'tandem.model_versions': {
    id: string;
    predictor: string;
    number: number;
    artifact_hash: string;
    definition: Json<ModelDefinition>;
    created_at: Generated<Date>;
    stable_at: Date | null;
    note: Generated<string>;
    origin: Json<unknown, string | undefined>;
    metadata: Json<unknown | null, string | null>;
    metrics: Json<unknown, string | undefined>;
    parity: Json<unknown | null, string | null>;
    parent_id: string | null;
    build: string | null;
    archived_at: Date | null;
  };
  'tandem.outbox': {
    seq: GeneratedAlways<number>;
    user_id: string;
    context_version: number;
    unused_names: string[] | null;
  };
  'tandem.outcomes': {
    source: string;
    id: string;
    payload_hash: Buffer;
    user_id: string | null;
    name: string | null;
    value: number | null;
    time: Date | null;
    context_version: number;
    accepted_at: Generated<Date>;
  };
  'tandem.overlay': {
    predictor: string;
    user_id: string;
    model_version_id: string;
    overlay_floor: number;
    history: string;
    context_version: number;
    source: 'batch' | 'live';
    computed_at: Date;
    outputs: Buffer;
  };
  'tandem.predictions': {
    generation_id: string;
    user_id: string;
    context_version: number;
    computed_at: Date;
    outputs: Buffer;
  };
  'tandem.predictors': {
    name: string;
    active: Generated<boolean>;
    event_patterns: string[];
    event_features: Json<unknown, string | undefined>;
    policy: Json<Policy>;
    adopted_version_id: string | null;
    updated_at: Generated<Date>;
  };
  'tandem.processes': {
    id: string;
    kind: 'api' | 'worker';
    host: string;
    pid: number;
    release: string;
    started_at: Generated<Date>;
    seen_at: Generated<Date>;
  };
  'tandem.rollout_checks': {
    seq: GeneratedAlways<number>;
    rollout_id: string;
    at: Generated<Date>;
    step: number;
    verdict: 'promote' | 'hold' | 'roll_back';
    applied: boolean;
    figures: Json<Judgement>;
  };
  'tandem.rollouts': {
    id: Generated<string>;
    predictor: string;
    number: number;
    kind: 'canary' | 'shadow' | 'ab';
    state: Generated<'preparing' | 'running' | 'held' | 'promoted' | 'aborted' | 'ended'>;
    salt: string;
    plan: Json<RolloutPlan>;
    step: Generated<number>;
    step_started_at: Date | null;
    overlay_floor: number;
    reason: Generated<string>;
    checked_at: Date | null;
    last_arms: Json<unknown | null, string | null>;
    created_by: string;
    created_at: Generated<Date>;
    ended_at: Date | null;
  };
  'tandem.run_failures': {
    run_id: string;
    user_id: string;
    reason: string;
  };
  'tandem.runs': {
    id: Generated<string>;
    predictor: string;
    scope: 'all' | 'stale' | 'users';
    user_ids: string[] | null;
    model_version_id: string;
    overlay_floor: number;
    schedule_slot: Date | null;
    state: Generated<'planned' | 'running' | 'publishing' | 'done' | 'done_with_errors' | 'failed' | 'cancelled'>;
    reason: string;
    error: string | null;
    history: string;
    users_expected: Generated<number>;
    users_scored: Generated<number>;
    users_failed: Generated<number>;
    chunk_count: Generated<number>;
    created_at: Generated<Date>;
    started_at: Date | null;
    finished_at: Date | null;
    step: 'plan' | 'publish' | null;
    step_fence: Generated<number>;
    step_lease_until: Date | null;
    step_attempts: Generated<number>;
    step_lost_leases: Generated<number>;
    step_error: string | null;
    source_version: Generated<number>;
  };
  'tandem.schedule_slots': {
    predictor: string;
    last_slot: Date;
  };
  'tandem.settings': {
    one: Generated<boolean>;
    key_type: 'int8' | 'uuid' | 'text' | null;
    event_horizon: Generated<object>;
    revision: Generated<number>;
    erasures: Generated<number>;
  };
  'tandem.shadow_counts': {
    rollout_id: string;
    segment: string;
    process_id: string;
    counts: Json<ShadowCounts>;
    updated_at: Generated<Date>;
  };
  'tandem.shadow_movers': {
    rollout_id: string;
    user_id: string;
    served: number;
    candidate: number;
    context_version: number;
    computed_at: Date;
  };
  'tandem.source_versions': {
    predictor: string;
    version: Generated<number>;
  };
  'tandem.stable_history': {
    seq: GeneratedAlways<number>;
    predictor: string;
    model_version_id: string;
    generation_id: string | null;
    at: Generated<Date>;
  };
  'tandem.unused_event_names': {
    name: string;
    events: number;
    last_seen: Generated<Date>;
  };
  'tandem.user_contexts': {
    user_id: string;
    version: Generated<number>;
    touched: Json<unknown, string | undefined>;
    deleted_version: Generated<number>;
    features: Json<ContextFeatures, string | undefined>;
    updated_at: Generated<Date>;
  };
  'tandem.version_labels': {
    predictor: string;
    label: string;
    model_version_id: string;
    moved_at: Generated<Date>;
    actor: string;
  };
  'tandem.watched_sources': {
    id: GeneratedAlways<number>;
    name: string;
    key: string | null;
    columns: string[] | null;
    predictors: string[];
    max_users: number;
    created_at: Generated<Date>;
  };
}
