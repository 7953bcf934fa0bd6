import { execFileSync } from 'node:child_process';
import { createPaint } from '@tandem/commands/command';
import { expect, test } from 'vitest';
import { renderNextSteps, renderServersSteps } from './next-steps.ts';

const paint = createPaint({ write: () => true }, {});
const local = {
  databaseUrl: 'postgres://me:secret@127.0.0.1:5432/tandem',
  redisUrl: 'redis://:secret@127.0.0.1:6379',
};
const stepsFor = (
  userId: string,
  eventType: string | null = 'order.placed',
  asksForKeys = false,
  hasOwnPepper = false,
) =>
  renderNextSteps({
    url: 'http://127.0.0.1:8080',
    asksForKeys,
    hasOwnPepper,
    toTry: { predictor: 'churn', userId, eventType },
    hasStory: false,
    local,
    paint,
  });

/** Returns the words into which a shell splits a line. */
function wordsOf(line: string): string[] {
  const program = 'for word in "$@"; do printf "%s\\n" "$word"; done';
  const text = execFileSync('sh', ['-c', `set -- ${line}; ${program}`], { encoding: 'utf8' });
  return text.trimEnd().split('\n');
}

test.each(['42', '-5', "o'hara", 'a b"c', '$(id)', 'a\\n'])(
  'a shell passes on the requests for user %s unchanged',
  (userId) => {
    const lines = stepsFor(userId).map((line) => line.trim());
    const [curl, option, url] = wordsOf(lines.find((line) => line.startsWith('curl -i')) ?? '');
    expect([curl, option]).toEqual(['curl', '-i']);
    expect(decodeURIComponent(url ?? '')).toBe(`http://127.0.0.1:8080/v1/predictions/churn/${userId}`);
    const event = wordsOf(lines.find((line) => line.startsWith('curl -s')) ?? '').at(-1) ?? '';
    expect(JSON.parse(event)).toMatchObject({
      id: expect.stringMatching(/^\d+$/),
      type: 'order.placed',
      subject: userId,
    });
    expect(wordsOf(lines.find((line) => line.includes('explain')) ?? '').at(-1)).toBe(userId);
    // After `--`, a text that begins with a dash is no option.
    expect(wordsOf(lines.find((line) => line.includes('explain')) ?? '').includes('--')).toBe(userId.startsWith('-'));
  },
);

test('each request sends the key of the first line if the API requires keys, and otherwise none', () => {
  const lines = stepsFor('42', 'order.placed', true).map((line) => line.trim());
  expect(lines.find((line) => line.includes('key create'))).toMatch(
    /^export TANDEM_API_KEY=\$\(npx tandem key create /,
  );
  const curls = lines.filter((line) => line.startsWith('curl'));
  expect(curls).toHaveLength(3);
  for (const curl of curls) {
    const words = wordsOf(curl);
    expect(words[words.indexOf('-H') + 1]).toMatch(/^Authorization: Bearer /);
  }
  expect(stepsFor('42').join('\n')).not.toMatch(/Authorization|TANDEM_API_KEY/);
  expect(lines.join('\n')).not.toContain('API_KEY_PEPPER');
  expect(stepsFor('42', 'order.placed', true, true).join('\n')).toContain(
    'set the same API_KEY_PEPPER in that terminal',
  );
});

test('if no event makes a read live, no event is suggested', () => {
  const lines = stepsFor('42', null).join('\n');
  expect(lines).toContain('curl -i http://127.0.0.1:8080/v1/predictions/churn/42');
  expect(lines).not.toMatch(/v1\/events|live/);
});

test('without a known user, no request is suggested, and local servers are named with their passwords', () => {
  const lines = renderNextSteps({
    url: 'http://127.0.0.1:8080',
    asksForKeys: false,
    hasOwnPepper: false,
    toTry: null,
    hasStory: false,
    local: { databaseUrl: null, redisUrl: null },
    paint,
  });
  expect(lines.join('\n')).not.toMatch(/curl|psql|redis/);
  expect(stepsFor('42').join('\n')).toContain(`psql ${local.databaseUrl}`);
  expect(stepsFor('42').map((line) => line.trim())).toContain(local.redisUrl);
});

test('if only servers run, the steps load a CSV file before they write a config', () => {
  const lines = renderServersSteps({ local, servePort: null }, paint).join('\n');
  expect(lines).toContain(`    ${local.redisUrl}\n`);
  expect(lines).toMatch(/load customers\.csv --key customer_id\n.*tandem init.*tandem check.*tandem up\n/s);
  const beside = renderServersSteps({ local, servePort: 8081 }, paint).join('\n');
  expect(beside).toMatch(/tandem check.*tandem up --port 8081\n/s);
});
