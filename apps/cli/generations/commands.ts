/** `tandem generation`: the generations that runs have published, and which of them is served. */

import type { Client } from '@tandem/client/create-client';
import type { GenerationView, Run } from '@tandem/client/wire';
import {
  askerOf,
  type Cli,
  confirm,
  createApiCommand,
  group,
  type Paint,
  parseWhole,
  present,
} from '@tandem/commands/command';
import { ago, count, moment, renderTable, right } from '@tandem/commands/output/text';
import { rollbackTarget, type WantedRollback } from '@tandem/prediction/runs/rollback-target';
import { isProblem } from '@tandem/transport/client-errors';
import { connect } from '../client/connect.ts';
import { renderReport } from './render-report.ts';

export function generationCommands(cli: Cli) {
  return group('generation', 'generations, the published predictions of runs', [
    generationListCommand(cli),
    generationReportCommand(cli),
    generationApproveCommand(cli),
    generationRollbackCommand(cli),
  ]);
}

function generationListCommand(cli: Cli) {
  return createApiCommand({
    name: 'list',
    description: 'list the generations of a predictor, newest first',
    example: 'tandem generation list repurchase',
  })
    .argument('<predictor>')
    .option('--all', 'also list dropped generations, whose predictions are deleted')
    .action(async (predictor, options) => {
      const client = connect(cli, options);
      const every = await client.generations(predictor);
      const generations = options.all ? every : every.filter(({ state }) => state !== 'dropped');
      const failed = options.json ? [] : await findFailedRuns(client, generations);
      present(cli, options, { generations }, () => [
        ...renderGenerations(generations, failed, cli.paint, cli.now()),
        ...approvals(generations),
      ]);
    });
}

/** Returns the failed runs of generations that are not published. They keep their generations until they are dropped. */
async function findFailedRuns(client: Client, generations: readonly GenerationView[]): Promise<readonly Run[]> {
  const failed: Run[] = [];
  for (const { runId } of generations.filter(({ state }) => state === 'building' || state === 'held_back')) {
    const run = await client.runs.show(runId).catch((error: unknown) => {
      // The key may list generations only.
      if (isProblem(error, 'missing_scope')) return undefined;
      throw error;
    });
    if (run?.state === 'failed') failed.push(run);
  }
  return failed;
}

/** Returns a line for each generation that was held back: the command that publishes it, or why none can. */
function approvals(generations: readonly GenerationView[]): readonly string[] {
  return generations
    .filter(({ state }) => state === 'held_back')
    .map(({ predictor, generation, approvalRefused: refusal }) =>
      refusal === null
        ? `generation ${generation} was held back; publish it: tandem generation approve ${predictor} ${generation}`
        : `generation ${generation} was held back and cannot be published: ${refusal}`,
    );
}

function generationReportCommand(cli: Cli) {
  return createApiCommand({
    name: 'report',
    description: 'show how a generation differs from the one served before it',
    example: 'tandem generation report repurchase 18',
  })
    .argument('<predictor>')
    .argument('[generation]', 'the number (default: the newest with a report)', parseWhole(1))
    .action(async (predictor, generation, options) => {
      const client = connect(cli, options);
      const report = await client.generationReport(predictor, generation);
      // The list only adds a hint, so the report is printed without it too.
      const isHinted = report.verdict === 'blocked' && !options.json;
      const held = isHinted ? await client.generations(predictor).catch(() => []) : [];
      const approval = approvals(held.filter((one) => one.generation === report.generation)).flatMap((line) => [
        '',
        line,
      ]);
      present(cli, options, report, () => [...renderReport(report, cli.paint), ...approval]);
    });
}

function generationApproveCommand(cli: Cli) {
  return createApiCommand({
    name: 'approve',
    description: 'publish a generation that was held back; the next read is answered from it',
    example: 'tandem generation approve repurchase 18',
  })
    .argument('<predictor>')
    .argument('<generation>', 'its number', parseWhole(1))
    .option('--yes', 'do not ask')
    .action(async (predictor, generation, options) => {
      const client = connect(cli, options);
      if (!options.yes) await agreeToApprove(cli, client, predictor, generation);
      const approved = await client.approveGeneration(predictor, generation);
      present(cli, options, approved, ({ modelVersion, users }) => [
        `${predictor}: generation ${generation} (model version ${modelVersion}, ${count(users)} users) is current`,
      ]);
    });
}

/** Asks for confirmation, after showing why the generation was held back. */
async function agreeToApprove(cli: Cli, client: Client, predictor: string, generation: number): Promise<void> {
  const report = await client.generationReport(predictor, generation);
  for (const line of renderReport({ ...report, movers: [] }, cli.paint)) cli.stderr.write(`${line}\n`);
  await confirm(cli, `Publish generation ${generation} of ${predictor}?`);
}

function generationRollbackCommand(cli: Cli) {
  return createApiCommand({
    name: 'rollback',
    description: 'return to an earlier generation; the next read is answered from it',
    example: 'tandem generation rollback repurchase --to 3',
  })
    .argument('<predictor>')
    .option('--to <number>', 'the generation (default: the previous generation of the stable arm)', parseWhole(1))
    .option('--force', 'allow a generation of a model version that was never stable')
    .option('--yes', 'do not ask')
    .action(async (predictor, options) => {
      const client = connect(cli, options);
      const { force = false } = options;
      const to = options.yes
        ? options.to
        : await agreeToRollBack(cli, client, predictor, { to: options.to ?? null, force });
      const result = await client.rollback(predictor, to, { force });
      present(cli, options, result, ({ from, to }) => [
        `${predictor}: generation ${to.generation} (model version ${to.modelVersion}) is current${from === null ? '' : `; it replaces generation ${from.generation}`}`,
      ]);
    });
}

/**
 * Asks for confirmation and returns the confirmed generation. It is sent explicitly, because another generation may
 * become the previous one meanwhile.
 */
async function agreeToRollBack(cli: Cli, client: Client, predictor: string, wanted: WantedRollback): Promise<number> {
  askerOf(cli);
  const generations = (await client.generations(predictor)).map((one) => ({
    ...one,
    number: Number(one.generation),
    modelNumber: Number(one.modelVersion),
  }));
  const inForce = generations.find((one) => one.inForce) ?? null;
  const target = rollbackTarget(generations, inForce, wanted);
  await confirm(
    cli,
    `${predictor}: generation ${inForce?.number ?? 'none'} is current. Roll back to generation ${target.number} (model version ${target.modelVersion})?`,
  );
  return target.number;
}

function renderGenerations(
  generations: readonly GenerationView[],
  failedRuns: readonly Run[],
  paint: Paint,
  now: number,
): string[] {
  if (generations.length === 0) return ['no generation yet; start a run: tandem run start <predictor>'];
  const columns = [
    right('generation'),
    'state',
    right('model'),
    right('users'),
    right('base'),
    'published',
    'age',
    'run',
  ];
  const rows = generations.map(({ generation, state, inForce, modelVersion, users, base, publishedAt, runId }) => {
    const failed = failedRuns.find(({ id }) => id === runId);
    const isHeld = state === 'held_back';
    const shown = isHeld ? 'held back' : failed ? `${state} (run failed)` : state;
    return [
      generation,
      inForce ? paint('good', 'current') : isHeld || failed ? paint('bad', shown) : shown,
      modelVersion,
      // Until its publication, a generation counts no users.
      count(isHeld && failed ? failed.usersScored : users),
      base ?? '',
      moment(publishedAt),
      publishedAt === null ? '' : ago(publishedAt, now),
      runId,
    ];
  });
  return renderTable(columns, rows);
}
