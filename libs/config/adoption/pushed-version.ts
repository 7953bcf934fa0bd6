/**
 * Resolves a model version that is pushed without a config. The push gives only the changed settings, in the form of
 * the config. All other settings are those of the stable version. The result is checked like a config.
 */

import type { FeatureColumn, ModelDefinition, Policy } from '@tandem/freshness/predictor';
import { valuesPerUser } from '@tandem/prediction/models/output-fit';
import type { ModelMetadata } from '@tandem/prediction/models/verification';
import { formatDuration } from '@tandem/wire/durations';
import { checkForm } from '../predictor/check-form.ts';
import type { SettingProblem } from '../predictor/config-problem.ts';
import { wordsOf, wordsOfRequest } from '../predictor/request-settings.ts';
import { type ModelFile, type ResolvedPredictor, resolvePredictor } from '../predictor/resolve-predictor.ts';
import { settingConflicts } from '../predictor/setting-conflicts.ts';

/** Settings of a predictor, each in the form that it has in a config. */
export interface PushedSettings {
  readonly features?:
    | {
        readonly sql?: string | undefined;
        /** The column `asOf`. Null removes that of the served version. */
        readonly asOf?: string | null | undefined;
        readonly overlayFor?: string | null | undefined;
        /** The values for nulls. `{}` removes those of the served version; the same holds for `categories`. */
        readonly nulls?: Readonly<Record<string, number | boolean | string>> | undefined;
        readonly categories?: Readonly<Record<string, unknown>> | undefined;
      }
    | undefined;
  /** The request features. Null removes them. */
  readonly request?: Readonly<Record<string, unknown>> | null | undefined;
  /** The columns of each input. Null: columns fill the inputs automatically, as in a config without `inputs`. */
  readonly inputs?: Readonly<Record<string, unknown>> | null | undefined;
  readonly outputs?: Readonly<Record<string, unknown>> | undefined;
  readonly rowByRow?: boolean | undefined;
}

/** The version that is served now. */
export interface ServedVersion {
  readonly definition: ModelDefinition;
  /** Metadata of the model file; null if it is not known. */
  readonly metadata: Pick<ModelMetadata, 'outputs'> | null;
  readonly policy: Policy;
}

type PushedVersion =
  | { readonly ok: true; readonly predictor: ResolvedPredictor }
  | { readonly ok: false; readonly problems: readonly SettingProblem[] };

export function resolvePushed(served: ServedVersion, said: PushedSettings, model: ModelFile): PushedVersion {
  const name = served.definition.predictor;
  const predictor = {
    model: model.sha256,
    features: featuresOf(served.definition, said.features ?? {}),
    ...present({ request: said.request === undefined ? requestOf(served.definition) : (said.request ?? undefined) }),
    ...present({ inputs: said.inputs === undefined ? inputsOf(served.definition) : (said.inputs ?? undefined) }),
    outputs: said.outputs ?? outputsOf(served),
    ...present({ rowByRow: said.rowByRow ?? served.definition.rowByRow }),
    ...settingsOf(served.policy),
  };
  const form = checkForm({ predictors: { [name]: predictor } });
  const parsed = form.ok ? form.config.predictors[name] : undefined;
  const problems = form.ok ? [] : form.problems;
  const conflicts = settingConflicts(name, parsed ?? (form.ok ? {} : (form.rest[name] ?? {})));
  if (!parsed || conflicts.length > 0) return { ok: false, problems: [...problems, ...conflicts] };
  return { ok: true, predictor: { ...resolvePredictor(name, parsed, model), policy: served.policy } };
}

/** Returns the settings of a policy that a model version can contradict, in the form of a config. */
function settingsOf({ freshness, batch, publish, decision }: Policy) {
  const { live, default: served, refresh } = freshness;
  const { schedule, changedSchedule } = batch;
  const { maxPsi, maxMeanDelta } = publish ?? {};
  return present({
    freshness: filled(
      present({
        live: live ? undefined : false,
        default: served ?? undefined,
        refresh: refresh ? { within: formatDuration(refresh.withinMs) } : undefined,
      }),
    ),
    batch:
      schedule === null
        ? undefined
        : { schedule: changedSchedule === undefined ? schedule : { everyone: schedule, changed: changedSchedule } },
    publish: filled(present({ maxPsi: maxPsi ?? undefined, maxMeanDelta: maxMeanDelta ?? undefined })),
    decision,
  });
}

/** Removes the served version's settings of columns that the new query no longer has. */
export function forgetGoneColumns(
  predictor: ResolvedPredictor,
  said: PushedSettings,
  columns: readonly { readonly name: string }[],
): ResolvedPredictor {
  const { nulls, categories } = said.features ?? {};
  const known = new Set(columns.map(({ name }) => name));
  const kept = <T>(all: Readonly<Record<string, T>>, own: unknown) =>
    own === undefined ? Object.fromEntries(Object.entries(all).filter(([name]) => known.has(name))) : all;
  const { features } = predictor;
  return {
    ...predictor,
    features: { ...features, nulls: kept(features.nulls, nulls), categories: kept(features.categories, categories) },
  };
}

function featuresOf({ query }: ModelDefinition, said: NonNullable<PushedSettings['features']>) {
  // Only one of the two settings that end an overlay may be set.
  const asOf = said.asOf === undefined && said.overlayFor ? null : said.asOf;
  const overlayFor = said.overlayFor === undefined && said.asOf ? null : said.overlayFor;
  const servedOverlay = query.overlayForMs === null ? null : formatDuration(query.overlayForMs);
  return {
    sql: said.sql ?? query.sql,
    ...present({
      asOf: (asOf === undefined ? query.asOf : asOf) ?? undefined,
      overlayFor: (overlayFor === undefined ? servedOverlay : overlayFor) ?? undefined,
      nulls: said.nulls === undefined ? declared(query.columns, nullOf) : filled(said.nulls),
      categories: said.categories === undefined ? declared(query.columns, categoriesOf) : filled(said.categories),
    }),
  };
}

function nullOf({ kind, nullAs }: FeatureColumn): number | string | boolean | undefined {
  return kind === 'boolean' && nullAs !== undefined ? Boolean(nullAs) : nullAs;
}

function categoriesOf({ categories }: FeatureColumn) {
  return categories && wordsOf(categories);
}

function declared<T>(columns: readonly FeatureColumn[], of: (column: FeatureColumn) => T | undefined) {
  return filled(present(Object.fromEntries(columns.map((column) => [column.name, of(column)] as const))));
}

/** Returns a setting of columns; undefined if it has no columns, since a config has no empty settings. */
function filled<T extends Readonly<Record<string, unknown>>>(setting: T): T | undefined {
  return Object.keys(setting).length === 0 ? undefined : setting;
}

function requestOf({ request }: ModelDefinition) {
  return request && Object.fromEntries(request.map((column) => [column.name, wordsOfRequest(column)]));
}

/**
 * Returns the declared inputs; undefined if columns fill them automatically, as they would fill those of another model.
 */
function inputsOf({ inputs, query, request = [] }: ModelDefinition) {
  const columns = [...query.columns, ...request];
  const [only, second] = inputs;
  const all = columns.map(({ name }) => name);
  const isWhole = only !== undefined && second === undefined && only.columns.join('\0') === all.join('\0');
  const areNamed = inputs.every(
    (input) => input.columns.length === 1 && input.columns[0]?.toLowerCase() === input.name.toLowerCase(),
  );
  if (isWhole || areNamed) return undefined;
  return Object.fromEntries(inputs.map(({ name, type, columns: filled }) => [name, { type, columns: filled }]));
}

function outputsOf({ definition, metadata }: ServedVersion) {
  return Object.fromEntries(
    definition.outputs.map(({ name, output, type, width, index }) => {
      const tensor = metadata?.outputs.find((one) => one.name === output);
      // A single value needs no index. If the new model has several values, the first would be a guess.
      const isOnly = tensor !== undefined && valuesPerUser(tensor) === 1;
      return [
        name,
        { from: output, type, ...present({ index: isOnly ? undefined : index, width: width ?? undefined }) },
      ];
    }),
  );
}

function present<T extends Record<string, unknown>>(settings: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
