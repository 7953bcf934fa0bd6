import { describe, expect, it } from 'vitest';
import { parseRequest, readCorpus } from './corpus.ts';
import { render } from './render.ts';
import { answerFaults, lastAnswerFaults, orderFaults } from './verdict.ts';

const facts = { runId: 'r', contextToken: 't', etag: 'e' };
const bytesOf = (text: string) =>
  Buffer.concat(render(text, facts).filter((piece) => typeof piece !== 'number')).toString('latin1');
const problem = (status: number, more: object = {}) => ({
  status,
  headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store' },
  body: JSON.stringify({ type: 'urn:tandem:problem:invalid_input', title: 't', status, detail: 'd', ...more }),
  ms: 5,
});

describe('the corpus of hostile requests', () => {
  const corpus = readCorpus();

  it('has hundreds of different requests, each with a reason and an answer', () => {
    expect(corpus.length).toBeGreaterThanOrEqual(250);
    const lacking = corpus.filter(({ why, answers, sent }) => why === '' || answers.length < 1 || sent.length < 1);
    expect(lacking.map(({ name }) => name)).toEqual([]);
    expect(new Set(corpus.map(({ sent }) => sent.join('\n---\n'))).size).toBe(corpus.length);
  });

  it('renders every request to bytes', () => {
    for (const { sent } of corpus) for (const text of sent) expect(() => render(text, facts)).not.toThrow();
  });

  it('rejects a file with an unknown key or value, or without ===', () => {
    expect(() => parseRequest('x', 'answr: 200\n===\nGET / HTTP/1.1')).toThrow('cannot read "answr: 200"');
    expect(() => parseRequest('x', 'connection: open\n===\nGET / HTTP/1.1')).toThrow('open is none of closes, stays');
    expect(() => parseRequest('x', 'answer: 200\nGET / HTTP/1.1')).toThrow('no ===');
  });
});

describe('render', () => {
  it('ends header lines with CRLF, and does not change the body', () => {
    expect(bytesOf('GET / HTTP/1.1\nHost: a\n')).toBe('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(bytesOf('POST / HTTP/1.1\nContent-Length: {{length +1}}\n\na\nb')).toBe(
      'POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\na\nb',
    );
  });

  it('replaces directives with bytes that a text file cannot hold', () => {
    expect(bytesOf('a{{lf}}\nb{{end}}\n{{hex 00 ff}}{{end}}')).toBe('a\nb\0\xff');
    expect(bytesOf('{{repeat 3 x{{crlf}}}}{{end}}')).toBe('x\r\nx\r\nx\r\n');
    expect(render('{{number}}{{end}}', { ...facts, number: 7 }).join()).toBe('7');
    expect(bytesOf('{{rows 3 "#"}} {{run}} {{token}} {{etag}}{{end}}')).toBe('"0","1","2" r t e');
    expect(() => bytesOf('{{nothing}}{{end}}')).toThrow('no directive is called nothing');
  });
});

describe('the verdict', () => {
  const expected = { statuses: [422], problem: 'invalid_input' };

  it('has no fault for the expected answer', () => {
    expect(answerFaults(problem(422), expected, 'POST')).toEqual([]);
    expect(answerFaults(undefined, { statuses: [], problem: null }, 'GET')).toEqual([]);
  });

  it.each([
    ['no answer', undefined, 'ended without an answer'],
    ['another status', problem(400), 'answered 400 instead of 422'],
    ['a status of a failed service', problem(500), 'answered 500'],
    ['another problem', problem(422, { type: 'urn:tandem:problem:forbidden' }), 'is not the problem invalid_input'],
    ['a stack trace', problem(422, { detail: 'x\n    at main.ts:1' }), 'shows its insides'],
    ['an answer without a problem document', { ...problem(422), headers: {} }, '422 is not a problem document'],
    ['a document with another status', problem(422, { status: 400 }), 'another status'],
    ['a document without a detail', problem(422, { detail: '' }), 'nothing to people'],
  ])('names %s', (_, answer, fault) => {
    const body = answer && { ...answer, body: answer.body.replaceAll('\\n', '\n') };
    const faults = answerFaults(body, expected, 'POST');
    expect(faults.join('; ')).toContain(fault);
  });

  it('reports an answer that is out of order, or follows the last answer', () => {
    const third = problem(422, { instance: '/v1/users/3' });
    expect(orderFaults(third, '/v1/users/3', problem(422))).toEqual([]);
    expect(orderFaults(third, '/v1/users/2', undefined)).toEqual(['is about /v1/users/3, not /v1/users/2']);
    const last = { ...third, headers: { ...third.headers, connection: 'close' } };
    expect(orderFaults(third, '/v1/users/3', last)).toEqual(['comes after the last answer']);
  });

  it('reports every field that the last answer lacks', () => {
    const request = parseRequest('x', 'field: a\ndetail: b\nheader: age: 1\nwithin: 1\n===\nGET / HTTP/1.1');
    expect(lastAnswerFaults(problem(422), request)).toEqual([
      'names undefined instead of a',
      'says d, not b',
      'has age: undefined, not 1',
      'took 5 ms',
    ]);
  });
});
