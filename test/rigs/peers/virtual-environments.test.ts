import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PEERS } from './peers.ts';
import { checkPython, ENVIRONMENTS, pinnedVersions, prepareEnvironment } from './virtual-environments.ts';

describe('requirements', () => {
  it.each(ENVIRONMENTS)('pin every package of %s to one version', async (name) => {
    const text = await readFile(join(import.meta.dirname, 'requirements', `${name}.txt`), 'utf8');
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    expect(lines.length).toBeGreaterThan(10);
    expect(lines.filter((line) => !/^[\w.-]+==[\w.+!-]+$/.test(line))).toEqual([]);
  });

  it.each(PEERS)('pin the packages of $title that the report names', async ({ name, packages }) => {
    expect(await pinnedVersions(name, packages)).toHaveLength(packages.length);
  });

  it('pin the version of ONNX Runtime that Tandem runs', async () => {
    const manifest = JSON.parse(await readFile(join(import.meta.dirname, '../bench/package.json'), 'utf8'));
    const own = manifest.dependencies['onnxruntime-node'];
    for (const { name, packages } of PEERS.filter((peer) => peer.packages.includes('onnxruntime'))) {
      expect(packages).toContain('onnxruntime');
      expect(await pinnedVersions(name, ['onnxruntime'])).toEqual([`onnxruntime ${own}`]);
    }
  });
});

it('names the Python to install if none is found', async () => {
  await expect(checkPython('no-such-python')).rejects.toThrow(/^no-such-python is not on the PATH: install Python 3/);
});

it('says that an environment is not installed if --skip-install is set', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tandem-peers-'));
  const prepared = prepareEnvironment('feast', { folder, python: 'python3', skipInstall: true, say: () => {} });
  await expect(prepared).rejects.toThrow(
    `feast is not installed in ${join(folder, 'feast')}: leave out --skip-install`,
  );
});
