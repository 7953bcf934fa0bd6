/**
 * `npm run shop`: the program of the shop. It runs the story of one customer, of a canary or of an A/B test, or replays
 * the last months of the history.
 */
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Client, createClient } from '@tandem/client/create-client';
import { Pool } from 'pg';
import { defaultPeriod, type ReplayOptions, replayHistory } from '../replay/replay-history.ts';
import { reportReplay } from '../replay/report.ts';
import { valueHistory } from '../replay/value-history.ts';
import { tellAb, tellCanary } from '../rollouts/stories.ts';
import { findServices } from './find-services.ts';
import { tellStory } from './story.ts';

const help = `Usage: npm run shop                       the story of one customer
       npm run shop -- --customer 500    the story of another customer (1 to 2357)
       npm run shop -- replay            replays the last months of the history as events, with a batch run each day
       npm run shop -- history           writes those months to a file, for \`npx tandem value\`
       npm run shop -- canary            a better model version takes over step by step; a worse one is rolled back
       npm run shop -- ab                three model versions side by side, and what the shop earns with each

canary takes about three minutes and ab one minute. Both reset the shop to the day before its replay.

Options of replay:
  --from ${defaultPeriod.from}  --to ${defaultPeriod.to}   the days to replay
  --speed 30                            days per minute (default: as fast as the service answers)
  --seed 1                              the seed for the hours of purchases and reads (in canary and ab: for the order of customers)
  --picture .tandem/replay.svg          the file for the picture
Options of history, which also resets the shop: --from, --to, --seed, and
  --file .tandem/shop-history.ndjson    the file for the history

The service must run: \`npm start\` in another terminal, or set DATABASE_URL and TANDEM_URL.
If the API requires keys, set TANDEM_API_KEY.
`;

async function main(): Promise<void> {
  const { values, positionals } = readArguments();
  if (values.help) return void process.stdout.write(help);
  const { databaseUrl, apiUrl: url, ...key } = findServices(process.env, process.cwd());
  const db = new Pool({ connectionString: databaseUrl, max: 2 });
  const tandem = createClient({ url, source: 'shop', ...key });
  try {
    const parts = { db, tandem, print: (line: string) => console.log(line) };
    const seeded = {
      ...parts,
      sleep: (ms: number, signal?: AbortSignal) => sleep(ms, undefined, { signal }),
      seed: positive('seed', values.seed),
    };
    const stories: Record<string, () => Promise<void>> = {
      replay: () => replay(db, tandem, replayOptions(values), values.picture),
      history: () => writeHistory(db, replayOptions(values), values.file),
      canary: () => tellCanary(seeded),
      ab: () => tellAb(seeded),
    };
    const tell = stories[positionals[0] ?? ''] ?? (() => tellStory({ ...parts, customerId: values.customer }));
    await tell();
  } finally {
    await db.end();
  }
}

function readArguments() {
  const text = { type: 'string' } as const;
  const parsed = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      customer: { ...text, default: '42' },
      from: { ...text, default: defaultPeriod.from },
      to: { ...text, default: defaultPeriod.to },
      speed: text,
      seed: { ...text, default: '1' },
      picture: { ...text, default: '.tandem/replay.svg' },
      file: { ...text, default: '.tandem/shop-history.ndjson' },
    },
  });
  const [command, ...more] = parsed.positionals;
  if (more.length > 0 || (command !== undefined && !['replay', 'history', 'canary', 'ab'].includes(command))) {
    throw new Error(`unknown command ${parsed.positionals.join(' ')}: \`npm run shop -- --help\` lists the commands`);
  }
  return parsed;
}

function replayOptions(values: ReturnType<typeof readArguments>['values']): ReplayOptions {
  const { from, to } = values;
  for (const [name, day] of Object.entries({ from, to })) {
    if (!/^\d{4}-\d{2}-\d{2}$/.test(day) || Number.isNaN(Date.parse(day)))
      throw new Error(`--${name} ${day} is not a day: write a date such as 1998-01-31`);
    if (day < defaultPeriod.from || day > defaultPeriod.to) {
      throw new Error(
        `--${name} ${day} is outside ${defaultPeriod.from} to ${defaultPeriod.to}: the model was trained on earlier days, and later days have no four weeks of purchases after them`,
      );
    }
  }
  if (from > to) throw new Error(`--from ${from} is after --to ${to}`);
  const speed = values.speed === undefined ? null : positive('speed', values.speed);
  return { from, to, seed: positive('seed', values.seed), speed };
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return number;
  throw new Error(`--${name} ${text} is not a number above 0`);
}

async function replay(db: Pool, tandem: Client, options: ReplayOptions, picture: string): Promise<void> {
  const isTerminal = process.stderr.isTTY === true;
  const onDay = (day: string, done: number, all: number) => {
    if (isTerminal) process.stderr.write(`\r${day}   day ${done + 1} of ${all} `);
    else if (done % 10 === 0) process.stderr.write(`${day}   day ${done + 1} of ${all}\n`);
  };
  const result = await replayHistory({ db, tandem, onDay, sleep }, options);
  if (isTerminal) process.stderr.write('\n');
  const report = reportReplay(result, options);
  await mkdir(dirname(picture), { recursive: true });
  await writeFile(picture, report.svg);
  console.log(`\n${report.table}\n\nPicture: ${picture}`);
}

async function writeHistory(db: Pool, options: ReplayOptions, file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  let lines = 0;
  async function* text() {
    for await (const line of valueHistory(db, options)) {
      lines++;
      yield `${line}\n`;
    }
  }
  await pipeline(text, createWriteStream(file));
  console.log(
    `${lines.toLocaleString('en')} lines: ${file}\nnpx tandem value repurchase --config apps/shop --history ${file}`,
  );
}

try {
  await main();
} catch (error) {
  // Prints one line; the stack trace only on request.
  if (process.env.TANDEM_DEBUG) console.error(error);
  else console.error(`shop: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
