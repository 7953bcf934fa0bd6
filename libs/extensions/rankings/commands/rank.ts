/** `tandem rank`: ranks candidates by predictions for one user. */
import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Cli, createApiCommand, given, type Paint, parseWhole, present } from '@tandem/commands/command';
import { connectApi } from '@tandem/commands/environment';
import { CommandFailure, unreadable, usageError } from '@tandem/commands/failure';
import { answerFields, renderValue } from '@tandem/commands/output/answer';
import { printable, renderFields, renderTable, right } from '@tandem/commands/output/text';
import { type RankInput, rankingCalls } from '../client.ts';
import { MAX_CANDIDATES } from '../wire.ts';
import type { Ranking } from '../wire-types.ts';

export function rankCommand(cli: Cli) {
  return createApiCommand({
    name: 'rank',
    description: 'rank candidates for one user by a prediction for each candidate',
    detail: `Candidates are a JSON array of { "id": "sku-7", "features": { "price": 19.9 } }, or one such object in each line.
Exit codes: 0 if all are ranked; 1 if a candidate is not ranked or the request failed; 2 for wrong usage.`,
    example: 'tandem rank offers 42 --candidates offers.ndjson --by score --limit 10',
  })
    .argument('<predictor>', 'its name in tandem.config.ts')
    .argument('<userId>')
    .option(
      '--candidates <file>',
      `a file with up to ${MAX_CANDIDATES} candidates and their request features (default: standard input)`,
    )
    .option(
      '--by <output>',
      'the output to rank by, highest first (default: the output of the decision, or the only numeric one)',
    )
    .option('--limit <count>', 'the number of top candidates to return', parseWhole(1, MAX_CANDIDATES))
    .option('--items-as-of <moment>', 'when the features of the candidates were read, ISO 8601; the answer repeats it')
    .option('--min-context <token>', 'require this context or a newer one (the contextToken of an event)')
    .action(async (predictor, userId, options) => {
      const { by, limit, itemsAsOf, minContext } = options;
      const input = {
        ...{ userId, candidates: await readCandidates(cli, options.candidates) },
        ...given({ by, limit, itemsAsOf }),
      };
      const demands = { signal: cli.signal, ...given({ minContext }) };
      const ranking = await rankingCalls(connectApi(cli, options)).rank(predictor, input, demands);
      present(cli, options, ranking, () => renderRanking(ranking, cli.paint));
      if (ranking.refused.length > 0) throw new CommandFailure('', { presented: true });
    });
}

/**
 * Reads a JSON array, or one JSON value in each line. The service checks each candidate. Rejects with a CommandFailure
 * that names the place.
 */
async function readCandidates({ stdin, cwd }: Cli, file: string | undefined): Promise<RankInput['candidates']> {
  if (file === undefined && stdin.isTTY) {
    throw usageError('no candidates are given', 'set --candidates to a file, or pipe the candidates in');
  }
  const place = file ?? 'standard input';
  const said = await text(file === undefined ? stdin : createReadStream(resolve(cwd, file))).catch((error: Error) => {
    throw unreadable(place, error);
  });
  const whole = said.replace(/^\uFEFF/, '');
  if (whole.trimStart().startsWith('[')) return parse(whole, place) as RankInput['candidates'];
  const lines = whole.split('\n').map((line, i) => ({ line, place: `${place}, line ${i + 1}` }));
  const candidates = lines.filter(({ line }) => line.trim() !== '').map((one) => parse(one.line, one.place));
  return candidates as RankInput['candidates'][number][];
}

function parse(json: string, place: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new CommandFailure(`${place} is not JSON (${error instanceof Error ? error.message : error})`, {
      remedy: 'write a JSON array of { "id": …, "features": { … } }, or one such object in each line',
      cause: error,
    });
  }
}

function renderRanking(ranking: Ranking, paint: Paint): string[] {
  const { by, ranked, refused, itemsAsOf } = ranking;
  const names = [by, ...Object.keys(ranked[0]?.prediction ?? {}).filter((name) => name !== by)];
  const rows = ranked.map(({ id, prediction }, i) => [
    ...[String(i + 1), printable(id)],
    ...names.map((name) => renderValue(prediction[name])),
  ]);
  // All candidates share one context version.
  const certified = answerFields({ ...ranking, prediction: {}, generation: null, ageSeconds: 0 }, paint);
  return [
    ...renderTable([right('rank'), 'id', ...names.map((name) => right(printable(name)))], rows),
    ...refused.map(({ id, error }) => `${printable(id)}  ${paint('bad', printable(error.detail))}`),
    '',
    ...renderFields([...certified, ['items', itemsAsOf && `as of ${printable(itemsAsOf)}`]]),
  ];
}
