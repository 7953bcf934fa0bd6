/** Puts several commands into one write to the socket: one system call, one packet where they fit. */
import { Command, type Redis } from 'ioredis';

export type CommandLike = Command;

/** Up to here one buffer is cheaper than several that the kernel gathers; a window of rows would be copied for nothing. */
const JOINED_BYTES = 65_536;

const AS_BUFFERS = { replyEncoding: null } as const;

/** A command whose replies come as buffers. Its promise must be awaited by whoever sends it. */
export function command(name: string, args: (string | Buffer)[]): CommandLike {
  return new Command(name, args, AS_BUFFERS);
}

/** Sends the commands; where the connection is down their promises reject. */
export function writeTogether(redis: Redis, commands: readonly CommandLike[]): void {
  let text = '';
  let pieces: Buffer[] | null = null;
  const collector = {
    isPipeline: true as const,
    destination: { redis },
    write(data: string | Buffer): void {
      if (typeof data === 'string') {
        text += data;
        return;
      }
      pieces ??= [];
      if (text !== '') pieces.push(Buffer.from(text));
      text = '';
      pieces.push(data);
    },
  };
  for (const one of commands) redis.sendCommand(one, collector);
  // Written by the closure above, which the compiler does not see.
  const buffers = pieces as Buffer[] | null;
  if (buffers === null) {
    if (text !== '') redis.stream.write(text);
    return;
  }
  if (text !== '') buffers.push(Buffer.from(text));
  if (buffers.reduce((sum, piece) => sum + piece.length, 0) <= JOINED_BYTES) {
    redis.stream.write(Buffer.concat(buffers));
    return;
  }
  redis.stream.cork();
  for (const piece of buffers) redis.stream.write(piece);
  redis.stream.uncork();
}
