/**
 * A worker for workerd with one client for all requests. `/consume` runs the consumer. `/read` answers with a user's
 * prediction. `/leave` begins a read and ends without waiting for the answer, like a request whose caller has
 * disconnected.
 */
import { createClient } from '@tandem/client';
import { consume } from './consumer.mjs';

let client;

export default {
  async fetch(request, { TANDEM_URL: url, SILENT_URL: silentUrl }) {
    const { pathname, searchParams } = new URL(request.url);
    client ??= createClient({ url });
    const read = () => client.predict('repurchase', searchParams.get('user'), { signal: request.signal });
    switch (pathname) {
      case '/consume':
        return consume({ url, silentUrl }).then(
          () => new Response('OK'),
          (error) => new Response(error.stack, { status: 500 }),
        );
      case '/leave':
        read().catch(() => {});
        return new Response('left');
      default:
        return Response.json((await read()).answer);
    }
  },
};
