/** Tries the negative controls: the checker must catch each plant, and report no violation without it. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { countViolations } from './checker/report.ts';
import type { Rule } from './checker/violations.ts';
import { tableOfCells } from './markdown-table.ts';
import type { Control } from './plant/controls/catalogue.ts';
import { openSession, type Session } from './rig/session.ts';

export interface ControlResult {
  readonly name: string;
  readonly what: string;
  /** The rule that caught the control, or null if no rule did in time. */
  readonly caughtBy: Rule | null;
  /** The number of answers that the checker had judged by then. */
  readonly answers: number;
  /** The number of these answers that were called fresh. */
  readonly fresh: number;
  readonly seconds: number;
  /** Whether the checker must not catch the plant. */
  readonly holds: boolean;
  /** Violations of any rule without the plant, and the number of answers. Null if this was not tried. */
  readonly sound: { readonly violations: number; readonly answers: number } | null;
}

export interface TryingOptions {
  readonly seed: number;
  readonly folder: string;
  /** Milliseconds within which each control must be caught. */
  readonly withinMs: number;
  /** Milliseconds for which the service runs without the plant; 0 skips this. */
  readonly soundMs: number;
  /** Processes of each kind; default: two. */
  readonly apis?: number;
  readonly workers?: number;
  say(line: string): void;
}

const POLL_MS = 50;
const HEADS = [
  ...['control', 'planted mistake', 'caught after answers', 'of them called fresh', 'seconds', 'by the rule'],
  'without the plant',
];

export async function tryControl(control: Control, options: TryingOptions): Promise<ControlResult> {
  const holds = control.holds === true;
  const planted = await tryOne(control, control.plants, holds ? options.soundMs : options.withinMs, true, options);
  const soundMs = control.isDoing || holds ? 0 : options.soundMs;
  const sound = soundMs === 0 ? null : await tryOne(control, [], soundMs, false, options);
  const { name, what } = control;
  return { name, what, ...planted, holds, sound: sound && { violations: sound.violations, answers: sound.answers } };
}

interface Tried {
  readonly caughtBy: Rule | null;
  readonly answers: number;
  readonly fresh: number;
  readonly seconds: number;
  readonly violations: number;
}

async function tryOne(
  control: Control,
  plants: readonly string[],
  forMs: number,
  stopsWhenCaught: boolean,
  { seed, folder, apis = 2, workers = 2, say }: TryingOptions,
): Promise<Tried> {
  const { rates, changing, needsStores, isWatched = false, isManaged = false } = control;
  const own = join(folder, `${control.name}-${plants.length > 0 ? 'planted' : 'sound'}`);
  const parts = {
    rates: { movesPerSecond: 0, schemaChangesPerSecond: 0, ...rates },
    ...(changing === undefined ? {} : { changing }),
  };
  const session = await openSession({ seed, folder: own, plants, isWatched, isManaged, apis, workers, ...parts });
  const startedAt = performance.now();
  let isOver = false;
  const stirring = stirUntil(control, session, () => isOver || (needsStores === true && stopsWhenCaught), say);
  const isDone = () => (stopsWhenCaught && !needsStores ? caughtBy(control, session) !== null : false);
  try {
    while (!isDone() && performance.now() - startedAt < forMs && !(needsStores && (await isSettled(stirring)))) {
      await pause(POLL_MS);
    }
  } finally {
    isOver = true;
  }
  const { answers, fresh } = session.checker.reads;
  const seconds = (performance.now() - startedAt) / 1_000;
  await stirring;
  await (needsStores || !stopsWhenCaught ? session.finish() : session.close());
  const rule = caughtBy(control, session);
  for (const one of session.checker.violations.first) {
    if (!plants.length || one.rule === rule)
      say(`  ${one.rule}: ${one.why}: ${JSON.stringify(one.evidence).slice(0, 600)}`);
  }
  return { caughtBy: rule, answers, fresh, seconds, violations: countViolations(session.checker) };
}

/** Runs rounds of actions until `isOver` returns true, at least one. */
async function stirUntil(control: Control, session: Session, isOver: () => boolean, say: (line: string) => void) {
  if (!control.stir) return;
  do {
    await control.stir(session).catch((error: unknown) => say(`  ${control.name}: ${error}`));
  } while (!isOver());
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  return Promise.race([promise.then(() => true), pause(0).then(() => false)]);
}

function caughtBy({ caughtBy }: Control, { checker }: Session): Rule | null {
  return caughtBy.find((rule) => checker.violations.counts.has(rule)) ?? null;
}

export function tableOf(results: readonly ControlResult[]): string {
  const rows = results.map(({ name, what, caughtBy, answers, fresh, seconds, holds, sound }) => {
    const missed = holds ? `holds in ${answers}, as expected` : `**not caught** in ${answers}`;
    const outcome = caughtBy === null ? missed : `${answers}${holds ? ' **where it should hold**' : ''}`;
    const without = sound === null ? 'not tried' : `${sound.violations} in ${sound.answers}`;
    return [name, what, outcome, `${fresh}`, seconds.toFixed(1), caughtBy ?? '', without];
  });
  return tableOfCells(HEADS, rows);
}

/** Returns whether the checker caught a control that must be caught, and found no violation without the plant. */
export function isAsItShould({ caughtBy, holds, sound }: ControlResult): boolean {
  return (caughtBy === null) === holds && (sound?.violations ?? 0) === 0;
}
