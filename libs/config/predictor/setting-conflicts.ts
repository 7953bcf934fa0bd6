/**
 * Checks settings against each other. A setting without effect is rejected like an invalid one, since its author
 * expects an effect.
 */

import type { TensorType } from '@tandem/freshness/predictor';
import { formatDuration, parseDuration } from '@tandem/wire/durations';
import { type At, type PartialPredictor, pathText, shown } from './check-form.ts';
import type { SettingProblem } from './config-problem.ts';
import { type ParsedOutputs, PREDICTOR_NAME } from './config-schema.ts';
import { coveringPattern } from './event-patterns.ts';
import { publicationProblems } from './publication-settings.ts';
import { requestProblems } from './request-settings.ts';
import { slotGaps } from './schedule.ts';

export function settingConflicts(name: string, predictor: PartialPredictor): SettingProblem[] {
  const at: At = (...keys) => pathText(['predictors', name, ...keys]);
  return [...nameProblems(name, at()), ...CHECKS.flatMap((check) => [...check(predictor, at)])];
}

/** Yields the problems of some settings of a predictor. */
type Check = (predictor: PartialPredictor, at: At) => Iterable<SettingProblem>;

function* nameProblems(name: string, path: string): Iterable<SettingProblem> {
  if (PREDICTOR_NAME.test(name)) return;
  yield {
    path,
    problem: `${JSON.stringify(name)} is not a valid name for a predictor`,
    remedy: 'start with a lower-case letter, followed by at most 62 of a-z, 0-9, _ and -',
  };
}

const outputProblems: Check = function* ({ outputs }, at) {
  if (!outputs) return;
  const fields = Object.keys(outputs);
  if (fields.length === 0) {
    yield {
      path: at('outputs'),
      problem: 'is empty, so the prediction would have no field',
      remedy: "name at least one output of the model, such as { score: 'float32' }",
    };
  }
  for (const field of fields.filter((one) => one === '' || one.length > 128)) {
    yield {
      path: at('outputs', field),
      problem: 'is not a valid name for a field of a prediction',
      remedy: 'write a name of 1 to 128 characters',
    };
  }
};

const inputProblems: Check = function* ({ inputs }, at) {
  if (!inputs || Object.keys(inputs).length > 0) return;
  yield {
    path: at('inputs'),
    problem: 'is empty',
    remedy: 'remove it: columns fill the inputs of a model automatically',
  };
};

/** Yields the problems of features.nulls and features.categories that do not depend on the columns. */
const declarationProblems: Check = function* ({ features }, at) {
  const { nulls, categories } = features ?? {};
  for (const [setting, said] of Object.entries({ nulls, categories })) {
    if (said && Object.keys(said).length === 0) {
      yield { path: at('features', setting), problem: 'is empty', remedy: 'remove it' };
    }
  }
  for (const [column, said] of Object.entries(categories ?? {})) {
    if (Array.isArray(said) || said.unknown === undefined) continue;
    const { as: encoding, unknown } = said;
    if ((encoding === 'one-hot') === (unknown === 'zeros')) continue;
    const [fits, remedy] =
      encoding === 'one-hot'
        ? ["'zeros'", "write 'zeros', or as: 'index'"]
        : ["a number or 'nan'", "write a number or 'nan', or as: 'one-hot'"];
    const problem = `is ${typeof unknown === 'string' ? `'${unknown}'` : unknown}, but with as: '${encoding}' an unknown text counts as ${fits}`;
    yield { path: at('features', 'categories', column, 'unknown'), problem, remedy };
  }
};

const overlayProblems: Check = function* ({ features }, at) {
  if (features?.asOf === undefined || features.overlayFor === undefined) return;
  yield {
    path: at('features', 'overlayFor'),
    problem: "has no effect with asOf, which ends the overlay when the row's asOf is later than the event's acceptance",
    remedy: 'remove one of the two',
  };
};

const ladderProblems: Check = function* ({ freshness }, at) {
  if (freshness?.live === false && freshness.liveTimeout !== undefined) {
    yield {
      path: at('freshness', 'liveTimeout'),
      problem: 'has no effect with live: false, since no read waits for the model',
      remedy: 'remove liveTimeout, or live: false',
    };
  }
  if (freshness?.onLiveFailure === 'error' && freshness.default !== undefined) {
    yield {
      path: at('freshness', 'default'),
      problem: "has no effect with onLiveFailure: 'error', which allows no fallback when live inference fails",
      remedy: "remove default, or write onLiveFailure: 'stale' or 'default'",
    };
  }
  if (freshness?.onLiveFailure === 'default' && !('default' in freshness)) {
    yield {
      path: at('freshness', 'onLiveFailure'),
      problem: "is 'default', but no default is declared",
      remedy: "add default with a value for each output, or write onLiveFailure: 'error'",
    };
  }
};

/** The shortest time within which users can be re-scored, since events are relayed twice a second. */
const LEAST_WINDOW_MS = 1_000;

const refreshProblems: Check = function* ({ freshness }, at) {
  const refresh = freshness?.refresh;
  if (!freshness || !refresh) return;
  const path = at('freshness', 'refresh');
  const remedy = 'remove one of the two';
  if (freshness.live === false) {
    return yield { path, problem: 'has no effect with live: false, since re-scoring infers live', remedy };
  }
  if (freshness.events?.length === 0) {
    return yield { path, problem: 'has no effect with events: [], since no event makes a user stale', remedy };
  }
  const ms = parseDuration(refresh.within);
  if (ms === null || ms >= LEAST_WINDOW_MS) return;
  yield {
    path: `${path}.within`,
    problem: `${refresh.within} is shorter than events take to arrive`,
    remedy: "write at least '1s'",
  };
};

const eventProblems: Check = function* ({ freshness }, at) {
  const patterns = freshness?.events ?? [];
  for (const [i, pattern] of patterns.entries()) {
    const covering = coveringPattern(patterns, i);
    if (covering === undefined) continue;
    const problem =
      covering === pattern ? `'${pattern}' is listed twice` : `'${pattern}' has no effect: '${covering}' includes it`;
    yield { path: at('freshness', 'events', i), problem, remedy: 'remove it' };
  }
};

/** Yields the problems of a declared default, which must be a prediction that the model could give. */
const defaultProblems: Check = function* ({ freshness, outputs }, at) {
  const values = freshness?.default;
  if (values === undefined || !outputs) return;
  const path = at('freshness', 'default');
  for (const field of Object.keys(outputs).filter((one) => !Object.hasOwn(values, one))) {
    yield {
      path: `${path}.${field}`,
      problem: 'is missing, but the predictor has this output',
      remedy: `add a value for ${field}`,
    };
  }
  for (const field of Object.keys(values).filter((one) => !Object.hasOwn(outputs, one))) {
    yield {
      path: `${path}.${field}`,
      problem: 'is not an output of this predictor',
      remedy: `remove it; the outputs are ${Object.keys(outputs).join(', ')}`,
    };
  }
  for (const [field, output] of Object.entries(outputs)) {
    if (Object.hasOwn(values, field)) yield* valueProblems(values[field], output, `${path}.${field}`);
  }
};

function valueProblems(value: unknown, output: ParsedOutputs[string], path: string): SettingProblem[] {
  const type = typeof output === 'string' ? output : output.type;
  const width = typeof output === 'string' ? undefined : output.width;
  if (width === undefined) return scalarProblems(value, type, path);
  if (!Array.isArray(value) || value.length !== width) {
    const was = Array.isArray(value) ? `an array of ${value.length}` : shown(value);
    return [{ path, problem: `is ${was}, not an array of ${width}`, remedy: `write an array of ${width} values` }];
  }
  return value.flatMap((one: unknown, i) => scalarProblems(one, type, `${path}[${i}]`));
}

function scalarProblems(value: unknown, type: TensorType, path: string): SettingProblem[] {
  const expected = expectation(value, type);
  if (expected === null) return [];
  return [{ path, problem: `is ${shown(value)}, but the output is of type ${type}`, remedy: `write ${expected}` }];
}

const INTEGER_BITS: Partial<Record<TensorType, { bits: number; signed: boolean }>> = {
  int8: { bits: 8, signed: true },
  int16: { bits: 16, signed: true },
  int32: { bits: 32, signed: true },
  // Beyond 2^53, a number in a config may differ from the integer that was written.
  int64: { bits: 54, signed: true },
  uint8: { bits: 8, signed: false },
  uint16: { bits: 16, signed: false },
  uint32: { bits: 32, signed: false },
  uint64: { bits: 53, signed: false },
};

/** Returns the expected form; null if the value is valid. */
function expectation(value: unknown, type: TensorType): string | null {
  if (type === 'string') return typeof value === 'string' ? null : 'a text in quotes';
  if (type === 'bool') return typeof value === 'boolean' ? null : 'true or false';
  const integer = INTEGER_BITS[type];
  if (integer) {
    const least = integer.signed ? -(2 ** (integer.bits - 1)) : 0;
    const most = (integer.signed ? 2 ** (integer.bits - 1) : 2 ** integer.bits) - 1;
    const fits = Number.isInteger(value) && Number(value) >= least && Number(value) <= most;
    return fits ? null : `a whole number from ${least} to ${most}`;
  }
  const finite = typeof value === 'number' && Number.isFinite(type === 'float64' ? value : Math.fround(value));
  return finite ? null : `a finite number that a ${type} can hold`;
}

// Checks the setting that keeps explanations: rejects a share that selects no user, and a time that is too short to
// look at an explanation.

/** The smallest share that selects users, who are divided into ten thousand buckets. */
const LEAST_SHARE = 0.0001;
const LEAST_MS = 60_000;

const explanationProblems: Check = function* ({ explanations }, at) {
  const share = explanations?.share;
  if (share !== undefined && !(share >= LEAST_SHARE)) {
    yield {
      path: at('explanations', 'share'),
      problem: `is ${share}: ${share > 0 ? 'less than one user in ten thousand' : 'no answer would be kept'}`,
      remedy: share > 0 ? `write at least ${LEAST_SHARE}` : 'remove explanations, or write a share above 0, up to 1',
    };
  }
  const keepFor = explanations?.keepFor;
  const ms = keepFor === undefined ? null : parseDuration(keepFor);
  if (ms !== null && ms < LEAST_MS) {
    yield {
      path: at('explanations', 'keepFor'),
      problem: `${keepFor} is too short for an operator to look`,
      remedy: "write at least '1m'",
    };
  }
};

const CHECKS: readonly Check[] = [
  outputProblems,
  inputProblems,
  overlayProblems,
  declarationProblems,
  requestProblems,
  ladderProblems,
  refreshProblems,
  defaultProblems,
  eventProblems,
  scheduleProblems,
  expiryProblems,
  publicationProblems,
  explanationProblems,
];

// Checks schedules, budgets and expiry against each other.

/** Yields problems of schedules and budgets that would have no effect. */
function* scheduleProblems({ features, freshness, batch }: PartialPredictor, at: At): Iterable<SettingProblem> {
  if (batch?.budget !== undefined && batch.schedule === undefined) {
    yield {
      path: at('batch', 'budget'),
      problem: 'has no effect without a schedule: it limits scheduled runs',
      remedy: 'add batch.schedule; or remove batch.budget, and start runs with --share or --cpu-minutes',
    };
  }
  if (typeof batch?.schedule !== 'object') return;
  const { everyone, changed } = batch.schedule;
  if (everyone === changed) {
    yield {
      path: at('batch', 'schedule', 'changed'),
      problem: 'has no effect: the schedule of everyone scores all users at the same times',
      remedy: 'write a more frequent schedule, or one cron expression for everyone',
    };
  }
  if (freshness?.events?.length === 0 && !features?.watch?.length && batch.budget === undefined) {
    yield {
      path: at('batch', 'schedule', 'changed'),
      problem: 'has no effect with events: [], since no event makes a user stale',
      remedy: 'write one cron expression for everyone, or name events or watched tables',
    };
  }
}

/**
 * Yields the problems of expiry that need no database. For `check`, `maxAgeTooShort` also takes the last run's time
 * into account.
 */
function* expiryProblems({ freshness, batch }: PartialPredictor, at: At): Iterable<SettingProblem> {
  const maxAgeMs = freshness?.maxAge === undefined ? null : parseDuration(freshness.maxAge);
  if (maxAgeMs === null || batch?.schedule === undefined) return;
  const everyone = typeof batch.schedule === 'string' ? batch.schedule : batch.schedule.everyone;
  // The other schedule only re-scores changed users.
  const { longestMs } = slotGaps(everyone);
  if (maxAgeMs >= longestMs) return;
  const interval = formatDuration(longestMs);
  yield {
    path: at('freshness', 'maxAge'),
    problem: `${freshness?.maxAge} is shorter than the schedule's longest interval (${interval}): every prediction would expire before the next run replaces it`,
    remedy: `write a maxAge above ${interval} plus twice the time of a run, or schedule runs more often`,
  };
}
