/** Checks the pages for operators: each metric, log event, label and anchor that they name exists. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkerHost } from '@tandem/extension/extension';
import { loadParts } from '@tandem/extension/load-parts';
import { REASON_NAMES } from '@tandem/freshness/reasons';
import { createMetrics, type MetricTable } from '@tandem/telemetry/metrics';
import { describe, expect, it } from 'vitest';
import { EXTENSIONS } from '../../apps/worker/extensions.ts';
import { ROUNDS } from '../../apps/worker/housekeeping.ts';
import { readSourceTexts, root } from '../architecture/source-tree.ts';
import { anchorOf, anchorsOf, readPage } from '../docs/markdown.ts';
import { type Rule, readRules, selectorsOf, wordsOf } from './alert-rules.ts';

const extensions = await loadParts(EXTENSIONS, 'jobs');
const unused = new Proxy({}, { get: () => () => {} }) as WorkerHost;
const rounds: readonly string[] = [
  ...ROUNDS,
  ...extensions.flatMap((part) => part.rounds(unused).map(({ name }) => name)),
];
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const alerts = read('deploy/alerts.yml');
const catalogue = read('docs/metrics.md');
/** The pages of failures: one per part that can fail. docs/failures.md links to them. */
const runbooks = globSync('docs/failures/*.md', { cwd: root }).sort().map(readPage);
const failures = [readPage('docs/failures.md'), ...runbooks].map(({ text }) => text).join('\n');
const product = readSourceTexts().filter((file) => !file.isTest && /^(apps|libs)\//.test(file.path));
const code = product.map((file) => file.code).join('\n');

/** Maps each metric that a process exposes to its type. */
const exposed = await exposedMetrics();
const rules = readRules(alerts);

async function exposedMetrics(): Promise<ReadonlyMap<string, string>> {
  const metrics = createMetrics({ app: 'test' });
  for (const path of globSync('libs/extensions/*/metrics.ts', { cwd: root })) {
    const { metrics: table } = (await import(join(root, path))) as { metrics: MetricTable };
    metrics.register(table);
  }
  const text = await metrics.exposition();
  return new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]));
}

/** Returns the metric of a series. */
function metricOf(series: string): string {
  const base = series.replace(/_(bucket|sum|count)$/, '');
  return exposed.get(base) === 'histogram' ? base : series;
}

/** Maps each declared metric to its label names. */
const declared = new Map(
  [
    ...code.matchAll(
      /(?:counter|gauge|histogram|countSeries|timerSeries)\(\s*'(tandem_\w+)',\s*(?:'[^']*'|"[^"]*"),?\s*(?:\w+_BUCKETS,?\s*)?(?:\[([^\]]*)\])?/g,
    ),
  ].map(
    ([, name = '', labels = '']) => [name, [...labels.matchAll(/'(\w+)'/g)].map((found) => found[1] ?? '')] as const,
  ),
);

const backticked = (page: string) => [...page.matchAll(/`([^`\n]+)`/g)].map((found) => found[1] ?? '');

describe('docs/metrics.md', () => {
  const rows = [...catalogue.matchAll(/^\| `(tandem_\w+)` +\| (\w+) +\| (.*?) +\| (.+) \|$/gm)].map(
    ([, name = '', type = '', labels = '']) => ({ name, type, labels: backticked(labels) }),
  );

  it('lists every metric, and no unknown metric', () => {
    expect(rows.map(({ name }) => name).sort()).toEqual(
      [...exposed.keys()].filter((name) => /^tandem_/.test(name)).sort(),
    );
  });

  it('has the type and labels of each metric', () => {
    for (const { name, type, labels } of rows) {
      expect({ name, type, labels }).toEqual({ name, type: exposed.get(name), labels: declared.get(name) });
    }
  });
});

describe.each([
  ['docs/failures', failures],
  ['docs/metrics.md', catalogue],
])('%s', (_, page) => {
  it('names metrics that are exposed', () => {
    const named = backticked(page).filter((word) => /^(tandem|process|nodejs)_\w+$/.test(word));
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((name) => !exposed.has(metricOf(name)))).toEqual([]);
  });

  it('names log events that are written', () => {
    const named = backticked(page).filter((word) => /^[a-z_]+\.[a-z_]+$/.test(word) && !/\.(md|yml)$/.test(word));
    expect(named.length).toBeGreaterThan(2);
    expect(named.filter((event) => !isWritten(event))).toEqual([]);
  });

  it('names every reason of an answer', () => {
    expect(backticked(page)).toEqual(expect.arrayContaining([...REASON_NAMES]));
  });

  it('names labels and values of them that there are', () => {
    for (const [, label = '', value = ''] of page.matchAll(/`(\w+)="(\w+)"`/g)) {
      expect([...declared.values()].flat(), label).toContain(label);
      expect(isSaid(value), value).toBe(true);
    }
  });
});

it('each failure has its parts, and docs/failures.md links to it', () => {
  const sections = runbooks.flatMap(({ path, text }) =>
    text
      .split(/^## /m)
      .slice(1)
      .map((section) => ({ path, section })),
  );
  expect(sections.length).toBeGreaterThan(30);
  const index = read('docs/failures.md');
  for (const { path, section } of sections) {
    const title = section.split('\n')[0] ?? '';
    const parts = [...section.matchAll(/^- \*\*(.+?)\*\*:/gm)].map((found) => found[1]);
    expect(parts, title).toEqual(expect.arrayContaining(['What happens', 'Users see', 'Signs', 'Remedy']));
    expect(index).toContain(`(${path.replace('docs/', '')}#${anchorOf(title)})`);
  }
});

/**
 * Returns whether the code contains a log event by its whole name, or a template with which its name begins. A table of
 * the schema `tandem` has the form of an event, and stands within statements.
 */
function isWritten(event: string): boolean {
  if (event.startsWith('tandem.')) return new RegExp(`\\b${event}\\b`).test(code);
  const templates = [...code.matchAll(/`([a-z_]+\.[a-z_]+)\$\{/g)].map(([, start = '']) => start);
  return code.includes(`'${event}'`) || templates.some((start) => event.startsWith(start));
}

/** Returns whether the code contains a value as a literal or as a number. */
function isSaid(value: string): boolean {
  return /^\d+$/.test(value)
    ? new RegExp(`\\b${value}\\b`).test(code)
    : rounds.includes(value) || code.includes(`'${value}'`);
}

describe('deploy/alerts.yml', () => {
  it('has rules with different names', () => {
    expect(rules.length).toBeGreaterThan(20);
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  });

  it.each(rules.map((rule) => [rule.alert, rule] as const))('%s uses exposed metrics', (_, rule) => {
    checkExpression(rule);
    const [page = '', anchor = ''] = rule.page.split('#');
    expect(page).toMatch(/^docs\/failures/);
    expect([...anchorsOf(readPage(page))]).toContain(anchor);
  });

  it('has the alerts that the pages name', () => {
    const named = failures.match(/\bTandem[A-Z]\w+/g) ?? [];
    expect(named.filter((name) => !rules.some(({ alert }) => alert === name))).toEqual([]);
  });
});

function checkExpression({ expr, summary }: Rule): void {
  const selectors = selectorsOf(expr);
  expect(selectors.length).toBeGreaterThan(0);
  for (const { series, matchers } of selectors) {
    const metric = metricOf(series);
    expect(exposed.has(metric), series).toBe(true);
    // A histogram has no series without a suffix.
    if (exposed.get(metric) === 'histogram') expect(series).toMatch(/_(bucket|sum|count)$/);
    for (const { label, values } of matchers) {
      expect(['app', 'instance', ...(declared.get(metric) ?? [])], `${series}{${label}}`).toContain(label);
      expect(values.filter((value) => !isSaid(value))).toEqual([]);
    }
  }
  const labels = new Set([
    'app',
    'instance',
    'le',
    ...selectors.flatMap(({ series }) => declared.get(metricOf(series)) ?? []),
  ]);
  expect(wordsOf(expr).filter((word) => !labels.has(word))).toEqual([]);
  const shown = [...summary.matchAll(/\$labels\.(\w+)/g)].map((found) => found[1] ?? '');
  expect(shown.filter((label) => !labels.has(label))).toEqual([]);
}
