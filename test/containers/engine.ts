/** Finds out whether this machine has a container engine that answers and has the images. */
import { getContainerRuntimeClient, getReaper, ImageName } from 'testcontainers';

export type EngineAnswer =
  | { readonly kind: 'ready'; readonly engine: string }
  | { readonly kind: 'unusable'; readonly why: string };

type EngineClient = Awaited<ReturnType<typeof getContainerRuntimeClient>>;

/** The time limit for an engine that accepts connections but does not answer, because it is starting or stuck. */
const ANSWERS_WITHIN_MS = 10_000;
const IMAGES_ARRIVE_WITHIN_MS = 180_000;

/**
 * Fetches missing images, and starts the container that removes the others if this process is killed. Never rejects:
 * the answer contains the error as part of a sentence.
 */
export async function askEngine(images: readonly string[]): Promise<EngineAnswer> {
  let client: EngineClient;
  try {
    client = await within(ANSWERS_WITHIN_MS, getContainerRuntimeClient());
  } catch {
    return { kind: 'unusable', why: 'no container engine answers' };
  }
  const engine = `${client.info.containerRuntime.operatingSystem}, engine ${client.info.containerRuntime.serverVersion}`;
  try {
    await within(IMAGES_ARRIVE_WITHIN_MS, prepare(client, images));
    return { kind: 'ready', engine };
  } catch (error) {
    return { kind: 'unusable', why: `the container engine answers, but ${firstLine(error)}` };
  }
}

async function prepare(client: EngineClient, images: readonly string[]): Promise<void> {
  await Promise.all(images.map((image) => provideImage(client, image)));
  await getReaper(client);
}

async function provideImage({ image: store }: EngineClient, image: string): Promise<void> {
  const name = ImageName.fromString(image);
  if (await store.exists(name)) return;
  try {
    await store.pull(name);
    // A pull that fails in the middle ends without an error.
    if (await store.exists(name)) return;
  } catch (error) {
    throw new Error(`${image} could not be pulled (${firstLine(error)})`);
  }
  throw new Error(`${image} could not be pulled`);
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]?.trim() ?? '';
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it took more than ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
