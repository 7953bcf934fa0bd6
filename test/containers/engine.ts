/** The container engine of this machine, as far as the tests care: does one answer, and has it the images? */
import { getContainerRuntimeClient, getReaper, ImageName } from 'testcontainers';

export type EngineAnswer =
  | { readonly kind: 'ready'; readonly engine: string }
  | { readonly kind: 'unusable'; readonly why: string };

type EngineClient = Awaited<ReturnType<typeof getContainerRuntimeClient>>;

/** An engine that is starting or stuck accepts connections and says nothing. */
const ANSWERS_WITHIN_MS = 10_000;
const IMAGES_ARRIVE_WITHIN_MS = 180_000;

/**
 * Fetches the images that are missing and starts the container that will remove the others, should this process be
 * killed. Never throws: what went wrong is in the answer, as half a sentence.
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
    // A pull that broke in the middle ends as if it were complete.
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
