/**
 * GET /v1/runs/{id}/progress: server-sent events, with `progress` at each change and `end` with the finished run. A
 * stream without `end` was cut by a restart of the service or a revoked key; the client then reconnects.
 */

import type { Caller } from '@tandem/endpoints/access';
import { defineEndpoint } from '@tandem/endpoints/define-endpoint';
import { isFinished, type Run } from '@tandem/prediction/runs/runs';
import { RunPath } from '@tandem/wire/parameters';
import { RUN_EXAMPLE, RunEventSchema } from '@tandem/wire/runs';
import type { RouteDependencies } from '../../wiring/route-dependencies.ts';
import { requireRun, runView } from './run-view.ts';

/** Milliseconds between heartbeats. Proxies commonly close connections that are silent for a minute. */
const HEARTBEAT_MS = 15_000;

export function showProgress({ runs, runWatcher }: RouteDependencies) {
  return defineEndpoint({
    operationId: 'watchRun',
    method: 'get',
    path: '/v1/runs/{id}/progress',
    tag: 'runs',
    summary: 'Watch a run',
    description: 'Server-sent events. The data of each is a Run. Comments keep the connection open.',
    scope: 'runs:read',
    params: RunPath,
    answer: {
      type: 'text/event-stream',
      description: '`progress` now and at each change, then `end`',
      schema: RunEventSchema,
      example: `event: progress\ndata: ${JSON.stringify(RUN_EXAMPLE)}\n\n`,
    },
    problems: ['unknown_run', 'unavailable'],
    async handle({ req }, _event, caller) {
      const run = await requireRun(runs, req.param('id') ?? '');
      const stream = req.method === 'HEAD' ? null : streamOf(run.id, runWatcher, caller);
      return new Response(stream, {
        headers: {
          'content-type': 'text/event-stream',
          'cache-control': 'no-store',
          // Without it, nginx would buffer events.
          'x-accel-buffering': 'no',
        },
      });
    },
  });
}

function streamOf(runId: string, watcher: RouteDependencies['runWatcher'], caller: Caller): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let stop = () => {};
  let heartbeat: NodeJS.Timeout | undefined;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      let isOpen = true;
      const write = (text: string) => {
        // The queue bounds the memory for a client that does not read. Events may be dropped, because the next change
        // has the whole state.
        if (isOpen && (controller.desiredSize ?? 0) > -64) controller.enqueue(encoder.encode(text));
      };
      const end = () => {
        clearInterval(heartbeat);
        if (isOpen) controller.close();
        isOpen = false;
      };
      heartbeat = setInterval(() => {
        if (caller.hasAccess()) return write(': still here\n\n');
        stop();
        end();
      }, HEARTBEAT_MS);
      write('retry: 1000\n\n');
      stop = watcher.watch(runId, { onRun: (run) => write(eventOf(run)), onEnd: end });
    },
    cancel() {
      clearInterval(heartbeat);
      stop();
    },
  });
}

function eventOf(run: Run): string {
  return `event: ${isFinished(run.state) ? 'end' : 'progress'}\ndata: ${JSON.stringify(runView(run))}\n\n`;
}
