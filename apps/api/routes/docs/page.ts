/**
 * The documentation page, rendered from the OpenAPI document. It is static HTML without scripts or resources of other
 * hosts, so that it works without access to the internet. (@scalar/hono-api-reference has no bundle: its page loads one
 * from a CDN.)
 */

interface DocumentedContent {
  readonly schema?: unknown;
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly summary?: string; readonly value?: unknown }>>;
}

interface DocumentedParameter {
  readonly name: string;
  readonly in: string;
  readonly description?: string;
  readonly required?: boolean;
}

interface DocumentedResponse {
  readonly description?: string;
  readonly content?: Readonly<Record<string, DocumentedContent>>;
}

interface DocumentedOperation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly parameters?: readonly DocumentedParameter[];
  readonly requestBody?: { readonly content?: Readonly<Record<string, DocumentedContent>> };
  readonly responses?: Readonly<Record<string, DocumentedResponse>>;
}

/** The parts of an OpenAPI document that are shown. */
export interface DocumentedApi {
  readonly info: { readonly title: string; readonly summary?: string; readonly description?: string };
  readonly tags?: readonly { readonly name: string; readonly description?: string }[];
  readonly paths?: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, unknown>> };
}

const STYLE = `
:root{color-scheme:light dark;--line:#8884;--dim:#777}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h2{margin-top:3rem;border-bottom:1px solid var(--line)}
code,pre{font:13px/1.45 ui-monospace,monospace}
pre{overflow:auto;padding:.75rem;border:1px solid var(--line);border-radius:6px}
details{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;padding:.25rem .75rem}
summary{cursor:pointer;padding:.35rem 0}
summary .method{display:inline-block;min-width:4.5rem;font-weight:700}
summary .said{color:var(--dim)}
table{border-collapse:collapse;width:100%;font-size:14px}
td,th{border-bottom:1px solid var(--line);padding:.3rem .5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}
dt{font-weight:600;margin-top:.75rem}dd{margin:0}
`;

export function docsPage(api: DocumentedApi): string {
  const { title, summary = '', description = '' } = api.info;
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}: API</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>${STYLE}</style></head><body>
<h1>${escapeHtml(title)}</h1><p>${escapeHtml(summary)}</p>${markdown(description)}
<p>For programs: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).</p>
${(api.tags ?? []).map((tag) => section(api, tag)).join('\n')}
<h2 id="schemas">Schemas</h2>${Object.entries(api.components?.schemas ?? {})
    .map(schemaBlock)
    .join('\n')}
</body></html>`;
}

function section(api: DocumentedApi, tag: { readonly name: string; readonly description?: string }): string {
  const operations = Object.entries(api.paths ?? {}).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) =>
      operation.tags?.includes(tag.name) ? [operationBlock(method, path, operation)] : [],
    ),
  );
  if (operations.length === 0) return '';
  return `<h2 id="${escapeHtml(tag.name)}">${escapeHtml(tag.name)}</h2><p>${escapeHtml(tag.description ?? '')}</p>${operations.join('\n')}`;
}

function operationBlock(method: string, path: string, operation: DocumentedOperation): string {
  const { operationId = '', summary = '', description = '', parameters = [], requestBody, responses = {} } = operation;
  const bodies = Object.entries(requestBody?.content ?? {});
  return `<details id="${escapeHtml(operationId)}"><summary><span class="method">${escapeHtml(method.toUpperCase())}</span>
<code>${escapeHtml(path)}</code> <span class="said">${escapeHtml(summary)}</span></summary>
${description === '' ? '' : `<p>${inline(description)}</p>`}
${parameters.length === 0 ? '' : `<table><tr><th>parameter</th><th>in</th><th></th></tr>${parameters.map(parameterRow).join('')}</table>`}
<dl>${bodies.map(([type, content]) => `<dt>body: <code>${escapeHtml(type)}</code></dt><dd>${contentBlock(content)}</dd>`).join('')}
${Object.entries(responses).map(responseBlock).join('')}</dl></details>`;
}

function parameterRow({ name, in: place, description = '', required = false }: DocumentedParameter): string {
  return `<tr><td><code>${escapeHtml(name)}</code></td><td>${escapeHtml(place)}${required ? ', required' : ''}</td><td>${inline(description)}</td></tr>`;
}

function responseBlock([status, { description = '', content = {} }]: [string, DocumentedResponse]): string {
  const shown = Object.values(content).filter(({ example }) => example !== undefined);
  return `<dt>${escapeHtml(status)}</dt><dd>${inline(description)}${shown.map(contentBlock).join('')}</dd>`;
}

function contentBlock({ example, schema }: DocumentedContent): string {
  const shown = example ?? schema;
  if (shown === undefined) return '';
  return `<pre>${escapeHtml(typeof shown === 'string' ? shown : JSON.stringify(shown, null, 2))}</pre>`;
}

function schemaBlock([name, schema]: [string, unknown]): string {
  return `<details id="schema-${escapeHtml(name)}"><summary><code>${escapeHtml(name)}</code></summary><pre>${escapeHtml(JSON.stringify(schema, null, 2))}</pre></details>`;
}

/** Renders the Markdown that the description uses: headings, tables and paragraphs. */
function markdown(text: string): string {
  return text
    .split(/\n\n+/)
    .map((block) => {
      if (block.startsWith('## ')) return `<h2>${escapeHtml(block.slice(3))}</h2>`;
      return block.startsWith('| ') ? table(block) : `<p>${inline(block)}</p>`;
    })
    .join('\n');
}

function table(block: string): string {
  const rows = block.split('\n').filter((line) => !line.startsWith('|---'));
  const cells = rows.map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );
  const [head = [], ...body] = cells;
  const row = (kind: 'td' | 'th') => (parts: string[]) =>
    `<tr>${parts.map((part) => `<${kind}>${inline(part)}</${kind}>`).join('')}</tr>`;
  return `<table>${row('th')(head)}${body.map(row('td')).join('')}</table>`;
}

function inline(text: string): string {
  return escapeHtml(text).replace(/`([^`]+)`/g, '<code>$1</code>');
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
