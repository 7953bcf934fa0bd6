/**
 * Checks the pages that new readers see first: they are short and match the code. test/docs checks their links and
 * blocks.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from './source-tree.ts';

const PAGES = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'docs/comparison.md'];
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const matches = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, found = '']) => found);
const manifest = JSON.parse(read('package.json'));

describe('README', () => {
  const readme = read('README.md');

  it('has 60 to 80 lines', () => {
    const lines = readme.trimEnd().split('\n').length;
    expect(lines).toBeGreaterThanOrEqual(60);
    expect(lines).toBeLessThanOrEqual(80);
  });

  it('gives only figures of the pages with measurements, and Tandem is not below the compared system', () => {
    const measured = read('docs/peers.md') + read('docs/benchmarks.md');
    const figures = matches(readme, /((?<![\d.])(?:\d{1,3},\d{3}|\d+\.\d+)(?= \||: | ms| s\b)|\d+(?= MB))/g);
    expect(figures.length).toBeGreaterThan(8);
    expect(figures.filter((figure) => !measured.includes(figure))).toEqual([]);
    const rows = [...readme.matchAll(/\| +([\d,]+) \| ([\d,]+): /g)];
    expect(rows.length).toBe(3);
    const number = (text = '') => Number(text.replaceAll(',', ''));
    expect(rows.filter(([, ours, theirs]) => number(ours) < number(theirs)).map(([row]) => row)).toEqual([]);
  });

  it('shows the picture that the script draws; if not, run `node scripts/run.mjs scripts/draw-picture.ts`', () => {
    const script = join(root, 'scripts/draw-picture.ts');
    const { stdout, stderr } = spawnSync(process.execPath, [script, '--print'], { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(['light', 'dark'].map((theme) => read(`docs/pictures/event-to-read-${theme}.svg`)).join('')).toBe(stdout);
  });
});

describe('the pages around it', () => {
  it('CONTRIBUTING names files and folders that exist', () => {
    const names = matches(read('CONTRIBUTING.md'), /`((?:apps|libs|test|migrations|scripts|docs)\/[\w./-]*)`/g);
    expect(names.length).toBeGreaterThan(15);
    expect(names.filter((name) => !existsSync(join(root, name)))).toEqual([]);
  });

  it('names only scripts of package.json in pages, workflows and templates', () => {
    const folder = join(root, '.github');
    const github = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.(yml|md)$/.test(name),
    );
    const texts = [...PAGES.map(read), ...github.map((name) => read(join('.github', name)))].join('\n');
    const suites = matches(texts, /suite: \[([^\]]+)\]/g).flatMap((list) => list.split(', '));
    const named = matches(texts, /npm run ([\w:]+)/g).concat(suites);
    expect(named.length).toBeGreaterThan(15);
    expect(named.filter((name) => manifest.scripts[name] === undefined)).toEqual([]);
  });

  it('pins foreign actions to a version that cannot change', () => {
    const workflows = readdirSync(join(root, '.github/workflows')).map((name) => read(`.github/workflows/${name}`));
    const uses = matches(workflows.join('\n'), /uses: (\S+)/g);
    expect(uses.length).toBeGreaterThan(3);
    expect(uses.filter((action) => !/@[0-9a-f]{40}$/.test(action))).toEqual([]);
  });

  it('has the licence and the versions of package.json', () => {
    expect(manifest.license).toBe('MIT');
    expect(read('LICENSE')).toMatch(/^MIT License\n/);
    expect(matches(read('CHANGELOG.md'), /^## \[([\d.]+)\]/gm)[0]).toBe(manifest.version);
    const [major, minor] = manifest.version.split('.');
    expect(read('SECURITY.md')).toMatch(new RegExp(`\\| ${major}\\.${minor} +\\| yes`));
  });
});
