/** Renders a profile: the recommendation, then the measured settings. */

import { count, counted, renderTable, right, wrap } from '@tandem/commands/output/text';
import { isSameSetting, type Measurement, type Setting } from '@tandem/prediction/profile/settings';
import type { ProfileFigures, ProfileReport } from './profile-report.ts';

const WIDTH = 110;
/** The most lines of the table; --json has all. */
const SHOWN = 20;
/** The load for each core above which the machine counts as busy. */
const BUSY = 0.5;
/** The most settings that could not be measured and are listed with the reason. */
const MOST_NAMED = 3;

export function renderProfile(report: ProfileReport): string[] {
  return [...conclusions(report).flatMap((line) => wrap(line, WIDTH)), '', ...table(report)];
}

/** Renders a measurement in one line: `version 2, batch 64, processes 2, threads 1: 41,200/s, p99 3.1 ms`. */
export function renderSetting({ setting, throughput, p99Ms, lost }: Measurement): string {
  const note = lost > 0 ? `, ${counted(lost, 'process', 'processes')} ended` : '';
  return `${nameSetting(setting)}: ${rate(throughput)}/s, p99 ${milliseconds(p99Ms)}${note}`;
}

export function nameSetting({ version, batch, processes, threads }: Setting): string {
  return `version ${version}, batch ${batch}, processes ${processes}, threads ${threads}`;
}

/** Returns the findings as sentences, with the recommendation first. */
export function conclusions(report: ProfileReport): string[] {
  const { machine, users, measured, notMeasured, combinations, isCut, search } = report;
  const { cpu, cores, loadBefore } = machine;
  return [
    ...recommendation(report),
    ...comparison(report),
    `Measured ${measured.length} of ${count(combinations)} combinations with ${counted(users, 'user')}, on ${counted(cores, 'core')} (${cpu}).`,
    ...(search?.choice && report.recommended
      ? [searchSentence(search.measured, search.choice, report.recommended)]
      : []),
    ...(isCut ? ['The time limit (--minutes) ended the profile early, so there may be better settings.'] : []),
    ...(loadBefore > BUSY * cores
      ? [
          `The machine was busy before the profile (load ${loadBefore.toFixed(1)}); on an idle machine all settings are faster.`,
        ]
      : []),
    ...measured
      .filter(({ failed }) => failed > 0)
      .slice(0, 1)
      .map(failedSentence),
    ...measured
      .filter(({ lost }) => lost > 0)
      .slice(0, 1)
      .map(lostSentence),
    ...notMeasured
      .slice(0, MOST_NAMED)
      .map(({ setting, why }) => `Not measured: ${nameSetting(setting)}: ${why.replace(/\.$/, '')}.`),
    ...(notMeasured.length > MOST_NAMED
      ? [
          `${counted(notMeasured.length - MOST_NAMED, 'other setting was', 'other settings were')} not measured; --json lists all.`,
        ]
      : []),
  ];
}

function recommendation({ recommended, targetP99Ms }: ProfileReport): string[] {
  if (recommended === null) return ['Nothing was measured in time: raise --minutes.'];
  if (!recommended.meetsTarget && targetP99Ms === null) return ['Inference processes crashed with every setting.'];
  if (!recommended.meetsTarget) {
    return [
      `No setting keeps p99 within ${targetP99Ms} ms under full load. The nearest setting: ${describe(recommended)}. Use a smaller or optimised model, more cores, or a longer target.`,
    ];
  }
  const within = targetP99Ms === null ? '' : ` within ${targetP99Ms} ms`;
  return [`Recommended${within}: ${describe(recommended)}.`];
}

function describe(one: ProfileFigures): string {
  const { processes, threads, costPerMillion } = one;
  const of = `${counted(processes, 'inference process', 'inference processes')} with ${counted(threads, 'thread')}`;
  const cost = costPerMillion === null ? '' : `, ${figure(costPerMillion)} a million`;
  return `version ${one.version}${one.build ? ` (${one.build})` : ''}, batches up to ${one.batch}, ${of}: ${rate(one.predictionsPerSecond)} predictions/s, p50 ${milliseconds(one.p50Ms)}, p99 ${milliseconds(one.p99Ms)}${cost}`;
}

function comparison({ predictor, current, recommended }: ProfileReport): string[] {
  if (!current || !recommended) return [];
  if (isSameSetting(current, recommended)) return ['This environment already has this setting.'];
  const times = (recommended.predictionsPerSecond / current.predictionsPerSecond).toFixed(2);
  const now = `This environment has ${rate(current.predictionsPerSecond)}/s, p99 ${milliseconds(current.p99Ms)}`;
  if (!recommended.meetsTarget) return [`${now}.`];
  const compared = `${now}; the recommended setting has ${times} times the throughput.`;
  if (current.version === recommended.version) return [compared];
  const start = `tandem rollout start ${predictor} ${recommended.version}`;
  return [
    compared,
    `Version ${recommended.version} does not serve all users; ${start} moves users to it step by step.`,
  ];
}

function searchSentence(searched: number, choice: ProfileFigures, best: ProfileFigures): string {
  const share = (100 * choice.predictionsPerSecond) / best.predictionsPerSecond;
  return `The search would have measured ${searched} of them, and found ${share.toFixed(1)} % of the best throughput: ${describe(choice)}.`;
}

function lostSentence(one: ProfileFigures): string {
  return `Inference processes crashed with ${nameSetting(one)}, and possibly others: they may need more memory (INFERENCE_MEMORY_MB). Such a setting is not recommended.`;
}

function failedSentence({ failed, version }: ProfileFigures): string {
  return `Version ${version} had no answer for some users (${count(failed)} of its requests); run tandem check to find them.`;
}

function table(report: ProfileReport): string[] {
  const { measured, recommended, current, pricePerCpuHour } = report;
  const isNamed = (one: ProfileFigures) =>
    (recommended !== null && isSameSetting(one, recommended)) || (current !== null && isSameSetting(one, current));
  const shown = measured.filter((one, i) => i < SHOWN || isNamed(one));
  const columns = [
    ...[right('version'), right('batch'), right('processes'), right('threads'), right('predictions/s')],
    ...[right('p50 ms'), right('p99 ms'), right('CPU ms/1,000'), right('MB'), right('MB·s/1,000')],
    ...(pricePerCpuHour === null ? [] : [right('cost/million')]),
    '',
  ];
  const rows = shown.map((one) => [
    `${one.version}${one.build ? ` ${one.build}` : ''}`,
    ...[one.batch, one.processes, one.threads].map(String),
    ...[rate(one.predictionsPerSecond), one.p50Ms.toFixed(2), one.p99Ms.toFixed(2)],
    ...[figure(one.cpuMsPerThousand), one.memoryMb.toFixed(0), figure(one.memoryMbSecondsPerThousand)],
    ...(one.costPerMillion === null ? [] : [figure(one.costPerMillion)]),
    markOf(report, one),
  ]);
  const hidden = measured.length - shown.length;
  return [
    ...renderTable(columns, rows),
    ...(hidden > 0 ? [`and ${counted(hidden, 'slower setting')}; --json lists all`] : []),
  ];
}

function markOf({ recommended, current }: ProfileReport, one: ProfileFigures): string {
  return [
    ...(recommended && isSameSetting(one, recommended) ? [recommended.meetsTarget ? 'recommended' : 'nearest'] : []),
    ...(current && isSameSetting(one, current) ? ['now'] : []),
  ].join(', ');
}

const rate = (value: number) => count(Math.round(value));
const milliseconds = (ms: number) => `${ms < 10 ? ms.toFixed(2) : ms.toFixed(1)} ms`;
/** Rounds to three significant digits. */
const figure = (value: number) => (value >= 100 ? count(Math.round(value)) : String(Number(value.toPrecision(3))));
