/** Builders for histories written by hand: they fill in the fields that a test does not need. */
import type {
  Change,
  Erase,
  ErasureAct,
  ErasureIntent,
  Fault,
  ListGenerations,
  Move,
  MoveIntent,
  MoveRollout,
  Operation,
  Read,
  ReadAnswer,
  Readmit,
  RollBack,
  SendEvents,
  Survey,
  ToldRollout,
} from '../history.ts';
import { createChecker } from './checker.ts';

export function rulesOf(history: readonly Operation[]): readonly string[] {
  const checker = createChecker();
  for (const operation of history) checker.write(operation);
  checker.close();
  return checker.violations.first.map(({ rule }) => rule);
}

type Answered = Partial<ReadAnswer> & { readonly label?: number };

/** Makes a read of one user, from `at` for 10 ms: fresh from a generation, with equal label and score. */
export function read(at: number, answered: Answered, more: Partial<Read> = {}): Read {
  const { label = 0, ...said } = answered;
  const answer: ReadAnswer = {
    userId: '1',
    status: 200,
    source: 'batch',
    reason: 'fresh',
    score: label,
    contextVersion: label,
    predictedFromContextVersion: label,
    variant: 'stable',
    modelVersion: '1',
    computedBy: 1,
    generation: '1',
    ...said,
  };
  const call = {
    kind: 'read',
    at,
    ended: at + 10,
    api: 'api 1',
    client: 'reader 1',
    many: false,
    status: 200,
  } as const;
  return { ...call, userIds: [answer.userId], directives: {}, answers: [answer], ...more };
}

interface Sent {
  readonly id?: string;
  readonly userId?: string;
  readonly version: number;
  readonly score?: number;
  readonly changedAt?: number;
  readonly firstSent?: number;
  readonly status?: 'accepted' | 'duplicate' | 'erased';
  readonly conflicting?: true;
  /** The value in its data. */
  readonly told?: number;
}

/** Makes an event, sent at `at` and acknowledged 10 ms later. */
export function event(at: number, sent: Sent, more: Partial<SendEvents> = {}): SendEvents {
  const { version, id = `event-${version}`, userId = '1', score = version, firstSent = at, status = 'accepted' } = sent;
  const { conflicting, told } = sent;
  const { changedAt = firstSent } = sent;
  const carried = told === undefined ? {} : { told };
  const said = { id, userId, score, changedAt, firstSent, ...(conflicting ? { conflicting } : {}), ...carried };
  const result = { id, status, contextVersion: version, contextToken: `0123456789abcdef.${version}` };
  const call = { kind: 'event', at, ended: at + 10, api: 'api 1', status: 202 } as const;
  return { ...call, events: [said], results: [result], ...more };
}

export function change(at: number, score: number): Change {
  return { kind: 'change', at, ended: at + 10, userId: '1', score };
}

export function rollBack(at: number, from: number, to: number): RollBack {
  const moved = { from: String(from), to: String(to), fromVersion: 1, toVersion: 1 };
  return { kind: 'rollback', at, ended: at + 10, api: 'api 1', status: 200, ...moved };
}

/**
 * Makes a list of generations, from `at` for 10 ms.
 * @param bases maps the number of a generation to that of its base
 */
export function listGenerations(at: number, bases: Readonly<Record<number, number>>): ListGenerations {
  const told = Object.entries(bases).map(([generation, base]) => ({ generation, base: String(base) }));
  return { kind: 'generations', at, ended: at + 10, api: 'api 1', status: 200, bases: told };
}

type Told = Partial<ToldRollout>;

/** Makes a canary of model version 2, at its first step. */
function told(said: Told): ToldRollout {
  return { id: 'a', state: 'running', variant: 'candidate', version: 2, step: 0, steps: [10, 50, 100], ...said };
}

export function intendMove(at: number, move: MoveIntent['move'], version = 2): MoveIntent {
  const arm = move === 'rollback' ? null : { variant: 'candidate', version };
  return { kind: 'move intent', at, ended: at, move, arm };
}

/** Makes the intent of a move and its only attempt, from `at` for 10 ms. */
export function moveRollout(at: number, move: Move, said: Told, more: Partial<MoveRollout> = {}): readonly Operation[] {
  const status = move === 'start' ? 201 : 200;
  const call = { kind: 'rollout', at, ended: at + 10, api: 'api 1', move, id: 'a', status, told: told(said) } as const;
  return [intendMove(at, move, said.version), { ...call, ...more }];
}

/**
 * Makes a survey, from `at` for 10 ms: version 1 is stable.
 * @param said the rollout, or null if there never was one
 */
export function survey(at: number, said: Told | null, more: Partial<Survey> = {}): Survey {
  const rollout = said && told(said);
  return { kind: 'survey', at, ended: at + 10, api: 'api 1', status: 200, stable: 1, rollout, ...more };
}

export function fault(at: number, phase: Fault['phase'], more: Partial<Fault> = {}): Fault {
  return { kind: 'fault', at, ended: at, phase, name: 'a fault', id: '1', seed: 1, ...more };
}

function intent(at: number, act: ErasureAct): ErasureIntent {
  return { kind: 'erasure intent', act, at, ended: at, userId: '1' };
}

/** Makes the intent of an erasure and its only attempt, acknowledged 10 ms later. */
export function erase(at: number, version: number, more: Partial<Erase> = {}): readonly Operation[] {
  const call = { kind: 'erase', at, ended: at + 10, api: 'api 1', status: 200, userId: '1', firstSent: at } as const;
  return [intent(at, 'erase'), { ...call, contextVersion: version, ...more }];
}

export function readmit(at: number, version: number, more: Partial<Readmit> = {}): readonly Operation[] {
  const call = { kind: 'readmit', at, ended: at + 10, api: 'api 1', status: 200, userId: '1', firstSent: at } as const;
  return [intent(at, 'readmit'), { ...call, contextVersion: version, wasErased: true, ...more }];
}
