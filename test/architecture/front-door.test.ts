/** The pages that a visitor, a contributor or a reporter reads first: short, true to the tree, and with links that lead somewhere. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from './source-tree.ts';

const PAGES = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md', 'docs/comparison.md'];
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const matches = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, found = '']) => found);
const manifest = JSON.parse(read('package.json'));

/** The anchor that GitHub gives to a heading. */
function anchorOf(heading: string): string {
  const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
  return text.replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-');
}

/** What is wrong with a link of a page; undefined if nothing is. Addresses of other sites are not asked. */
function faultOf(page: string, link: string): string | undefined {
  if (/^(https?:|\.\.\/\.\.\/)/.test(link)) return undefined;
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : join(dirname(page), path);
  if (!existsSync(join(root, target))) return `${page}: ${link} is not there`;
  if (anchor === undefined) return undefined;
  const anchors = matches(read(target), /^#+ (.+)$/gm).map(anchorOf);
  return anchors.includes(anchor) ? undefined : `${page}: ${link} names no heading`;
}

describe('README', () => {
  const readme = read('README.md');

  it('has 60 to 80 lines', () => {
    const lines = readme.trimEnd().split('\n').length;
    expect(lines).toBeGreaterThanOrEqual(60);
    expect(lines).toBeLessThanOrEqual(80);
  });

  it('gives figures that the pages of measurements give, and none that says less than its neighbour', () => {
    const measured = read('docs/peers.md') + read('docs/benchmarks.md');
    const figures = matches(readme, /((?:\d{1,3},\d{3}|\d+\.\d+)(?= [:|]|:| ms| s\b)|\d+(?= MB))/g);
    expect(figures.length).toBeGreaterThan(8);
    expect(figures.filter((figure) => !measured.includes(figure))).toEqual([]);
    const rows = [...readme.matchAll(/\| +([\d,]+) \| ([\d,]+): /g)];
    expect(rows.length).toBe(3);
    const number = (text = '') => Number(text.replaceAll(',', ''));
    expect(rows.filter(([, ours, theirs]) => number(ours) < number(theirs)).map(([row]) => row)).toEqual([]);
  });

  it('shows the picture that the script draws: else `node scripts/run.mjs scripts/draw-picture.ts`', () => {
    const script = join(root, 'scripts/draw-picture.ts');
    const { stdout, stderr } = spawnSync(process.execPath, [script, '--print'], { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(['light', 'dark'].map((theme) => read(`docs/pictures/event-to-read-${theme}.svg`)).join('')).toBe(stdout);
  });

  it('has an application that compiles', () => {
    const [application = ''] = matches(readme, /```ts\n([\s\S]*?)```/g);
    expect(application).toContain('createClient');
    mkdirSync(join(root, '.tandem'), { recursive: true });
    const folder = mkdtempSync(join(root, '.tandem/readme-'));
    try {
      writeFileSync(join(folder, 'application.ts'), application);
      writeFileSync(join(folder, 'tsconfig.json'), '{ "extends": "../../tsconfig.json", "include": ["*.ts"] }');
      const tsc = join(root, 'node_modules/typescript/bin/tsc');
      const { stdout } = spawnSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], { encoding: 'utf8' });
      expect(stdout).toBe('');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('the pages around it', () => {
  it.each(PAGES)('%s has no link that leads nowhere', (page) => {
    const text = read(page);
    const links = matches(text, /(?:\]\(|src="|srcset="|\]: )([^)\s"]+)/g);
    expect(links.length).toBeGreaterThan(0);
    expect(links.flatMap((link) => faultOf(page, link) ?? [])).toEqual([]);
  });

  it('CONTRIBUTING names files and folders that exist', () => {
    const names = matches(read('CONTRIBUTING.md'), /`((?:apps|libs|test|migrations|scripts|docs)\/[\w./-]*)`/g);
    expect(names.length).toBeGreaterThan(15);
    expect(names.filter((name) => !existsSync(join(root, name)))).toEqual([]);
  });

  it('names scripts that package.json has, in pages, workflows and templates', () => {
    const folder = join(root, '.github');
    const github = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(yml|md)$/.test(name));
    const texts = [...PAGES.map(read), ...github.map((name) => read(join('.github', name)))].join('\n');
    const suites = matches(texts, /suite: \[([^\]]+)\]/g).flatMap((list) => list.split(', '));
    const named = matches(texts, /npm run ([\w:]+)/g).concat(suites);
    expect(named.length).toBeGreaterThan(15);
    expect(named.filter((name) => manifest.scripts[name] === undefined)).toEqual([]);
  });

  it('runs actions of others only in a version that cannot change', () => {
    const workflows = readdirSync(join(root, '.github/workflows')).map((name) => read(`.github/workflows/${name}`));
    const uses = matches(workflows.join('\n'), /uses: (\S+)/g);
    expect(uses.length).toBeGreaterThan(3);
    expect(uses.filter((action) => !/@[0-9a-f]{40}$/.test(action))).toEqual([]);
  });

  it('has the licence and the versions that package.json says', () => {
    expect(manifest.license).toBe('MIT');
    expect(read('LICENSE')).toMatch(/^MIT License\n/);
    expect(matches(read('CHANGELOG.md'), /^## \[([\d.]+)\]/gm)[0]).toBe(manifest.version);
    const [major, minor] = manifest.version.split('.');
    expect(read('SECURITY.md')).toMatch(new RegExp(`\\| ${major}\\.${minor} +\\| yes`));
  });
});
