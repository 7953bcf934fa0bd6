/**
 * A small simulated service in memory, with its own clock. Its operations overlap like real ones: each step happens at
 * a random moment between the beginning and the end of its operation. So the histories contain every legal race. With a
 * flaw, the service breaks the protocol in one place, as a real service might.
 */
import type { Directives, Operation, Read, ReadAnswer, SendEvents, SentEvent } from '../history.ts';

export type Flaw =
  /** Certifies with a version from before the read was sent. */
  | 'old authority'
  /** Reads the features, then the version that becomes the label. */
  | 'version after context'
  /** A run labels its predictions with the version at its end. */
  | 'label at completion'
  /** A version is raised some time after the acknowledgement. */
  | 'late raise'
  /** A repeated event is applied again. */
  | 'no memory of ids'
  /** A demanded inference joins an inference that has already read its features. */
  | 'joined too late'
  /** Answers from the previous generation, if there is one. */
  | 'old pointer';

export interface Simulation {
  readonly random: () => number;
  readonly users: number;
  /** The number of events; there are four times as many reads. */
  readonly events: number;
  readonly flaw?: Flaw;
}

interface Prediction {
  readonly label: number;
  readonly score: number;
}

interface UserState {
  changes: number;
  version: number;
  /** The state after a late raise. */
  visible: number;
  /** The user's versions over time, for the flaw `old authority`. */
  readonly past: { readonly time: number; readonly version: number }[];
  overlay: Prediction | null;
  flight: Prediction | null;
}

interface Step {
  readonly time: number;
  run(): void;
}

const SPAN_MS = 10_000;

/** Simulates a load and returns its history, in the order of `ended`. */
export function simulate({ random, users, events, flaw }: Simulation): Operation[] {
  const history: Operation[] = [];
  const steps: Step[] = [];
  const states = new Map<string, UserState>();
  const ids = new Map<string, number>();
  const acknowledged = new Map<string, { readonly ended: number; readonly version: number }[]>();
  const bodies = new Map<string, ReadAnswer>();
  const generations: Map<string, Prediction>[] = [];

  const below = (n: number) => Math.floor(random() * n);
  const span = (n: number) => random() * n;
  const anyUser = () => String(1 + below(users));
  const at = (time: number, run: () => void) => steps.push({ time, run });

  function stateOf(userId: string): UserState {
    const known = states.get(userId);
    if (known) return known;
    const state = { changes: 0, version: 0, visible: 0, past: [], overlay: null, flight: null };
    states.set(userId, state);
    return state;
  }

  function apply(time: number, { id, userId }: SentEvent): { status: 'accepted' | 'duplicate'; version: number } {
    const known = ids.get(id);
    if (known !== undefined && flaw !== 'no memory of ids') return { status: 'duplicate', version: known };
    const state = stateOf(userId);
    state.version++;
    state.past.push({ time, version: state.version });
    const raised = state.version;
    const raise = () => {
      state.visible = Math.max(state.visible, raised);
    };
    if (flaw === 'late raise') at(time + 400, raise);
    else raise();
    ids.set(id, raised);
    return { status: known === undefined ? 'accepted' : 'duplicate', version: raised };
  }

  function planAttempt(event: SentEvent, from: number, outcome: 'answered' | 'lost before' | 'lost after'): number {
    const done = from + span(40);
    const ended = done + span(40);
    let result: ReturnType<typeof apply> | null = null;
    // The result is unknown; the sender learns this early enough to send the event again.
    const failure = { status: 503, retryAfter: 1, results: [] } as const;
    at(done, () => {
      if (outcome !== 'lost before') result = apply(done, event);
    });
    at(ended, () => {
      const call = { kind: 'event', at: from, ended, api: 'api 1', events: [event] } as const;
      if (outcome !== 'answered' || result === null) history.push({ ...call, ...failure });
      else {
        const { status, version } = result;
        const answer = { id: event.id, status, contextVersion: version, contextToken: `0123456789abcdef.${version}` };
        history.push({ ...call, status: 202, results: [answer] } satisfies SendEvents);
        acknowledged.set(event.userId, [...(acknowledged.get(event.userId) ?? []), { ended, version }]);
      }
    });
    return ended;
  }

  function planEvent(id: string): void {
    const userId = anyUser();
    const from = span(SPAN_MS);
    const [committed, ended] = [from + span(10), from + 10 + span(10)];
    let score = 0;
    at(committed, () => {
      score = ++stateOf(userId).changes;
    });
    at(ended, () => {
      history.push({ kind: 'change', at: from, ended, userId, score });
      const firstSent = ended + span(20);
      const event = { id, userId, score, changedAt: from, firstSent };
      const losses = (['lost before', 'lost after'] as const).slice(0, below(3));
      let next = firstSent;
      for (const loss of losses) next = planAttempt(event, next, loss) + span(10);
      // The last attempt is delivered several times at once.
      for (let i = below(3); i >= 0; i--) planAttempt(event, next + span(20), 'answered');
    });
  }

  function planRun(from: number): void {
    const rows = new Map<string, Prediction>();
    for (let user = 1; user <= users; user++) {
      const userId = String(user);
      at(from + span(300), () => {
        const state = stateOf(userId);
        rows.set(userId, { label: state.version, score: state.changes });
      });
    }
    at(from + 300 + span(200), () => {
      if (flaw === 'label at completion') {
        for (const [userId, { score }] of rows) rows.set(userId, { label: stateOf(userId).version, score });
      }
      generations.push(rows);
    });
  }

  function versionOf(userId: string, time: number): number {
    const state = stateOf(userId);
    if (flaw === 'old authority') {
      return state.past.findLast((one) => one.time < time - 300)?.version ?? 0;
    }
    return state.visible;
  }

  function planRead(): void {
    const from = span(SPAN_MS);
    const userIds = Array.from({ length: random() < 0.5 ? 1 : 1 + below(4) }, anyUser);
    const certified = from + span(30);
    const [read, ended] = [certified + span(60), certified + 60 + span(30)];
    let directives: Directives = {};
    let answers: ReadAnswer[] = [];
    let pending: (ReadAnswer | null)[] = [];
    at(from, () => {
      directives = directivesOf(userIds, from);
    });
    at(certified, () => {
      pending = userIds.map((userId) => storedAnswer(userId, certified, directives));
    });
    at(read, () => {
      answers = userIds.map((userId, i) => pending[i] ?? liveAnswer(userId, certified, directives, read));
    });
    at(ended, () => {
      const [first] = answers;
      const isKnown = first !== undefined && first.etag === directives.ifNoneMatch;
      const status = isKnown ? 304 : first?.status === 504 && userIds.length === 1 ? 504 : 200;
      const call = {
        kind: 'read',
        at: from,
        ended,
        client: 'reader 1',
        api: 'api 1',
        many: userIds.length > 1,
      } as const;
      history.push({ ...call, userIds, directives, status, answers: status === 504 ? [] : answers } satisfies Read);
      for (const answer of answers) if (answer.etag !== undefined) bodies.set(answer.userId, answer);
    });
  }

  function directivesOf([userId = '', ...others]: readonly string[], time: number): Directives {
    const dice = random();
    if (dice < 0.1) return { noCache: true };
    if (dice < 0.2) return { onlyIfCached: true };
    if (dice < 0.3) return { maxStale: -1 };
    if (others.length > 0) return {};
    const token = acknowledged.get(userId)?.findLast((one) => one.ended < time);
    if (dice < 0.5 && token) return { minContext: token.version };
    const etag = bodies.get(userId)?.etag;
    return dice < 0.7 && etag !== undefined ? { ifNoneMatch: etag } : {};
  }

  function storedAnswer(userId: string, time: number, { noCache, onlyIfCached, maxStale }: Directives) {
    if (noCache) return null;
    const state = stateOf(userId);
    const version = versionOf(userId, time);
    const inForce = flaw === 'old pointer' && random() < 0.5 ? generations.at(-2) : generations.at(-1);
    const ofGeneration = inForce?.get(userId);
    const number = inForce ? String(generations.indexOf(inForce) + 1) : null;
    if (ofGeneration && ofGeneration.label >= version) {
      return answerOf(userId, ofGeneration, 'batch', 'fresh', version, number);
    }
    if (state.overlay && state.overlay.label >= version) {
      return answerOf(userId, state.overlay, 'live', 'fresh', version, null);
    }
    const stale = state.overlay ?? ofGeneration;
    if (maxStale !== undefined && stale) return answerOf(userId, stale, 'stale', 'context_newer', version, null);
    if (!onlyIfCached) return null;
    return { ...answerOf(userId, { label: 0, score: 0 }, 'live', 'fresh', 0, null), ...NO_ANSWER };
  }

  function liveAnswer(userId: string, certified: number, { noCache }: Directives, time: number): ReadAnswer {
    const state = stateOf(userId);
    if (flaw === 'joined too late' && state.flight && random() < 0.5) {
      const { label, score } = state.flight;
      return answerOf(userId, { label, score }, 'live', noCache ? 'requested' : 'context_newer', label, null);
    }
    const seen = { label: state.version, score: state.changes };
    if (flaw === 'version after context') {
      // An old score with the current version.
      seen.score = Math.max(0, state.changes - (random() < 0.5 ? 1 : 0));
    }
    state.flight = seen;
    const version = Math.max(versionOf(userId, certified), seen.label);
    if (!state.overlay || state.overlay.label <= seen.label) state.overlay = seen;
    return answerOf(
      userId,
      seen,
      'live',
      noCache ? 'requested' : time < SPAN_MS / 2 ? 'missing' : 'context_newer',
      version,
      null,
    );
  }

  for (let i = 0; i < events; i++) planEvent(`event-${i}`);
  for (let i = 0; i < events * 4; i++) planRead();
  for (let from = 500; from < SPAN_MS; from += 3_000) planRun(from);
  runInOrder(steps);
  return history.sort((a, b) => a.ended - b.ended);
}

const NO_ANSWER = {
  status: 504,
  source: null,
  reason: null,
  score: null,
  contextVersion: null,
  predictedFromContextVersion: null,
} as const;

function answerOf(
  userId: string,
  { label, score }: Prediction,
  source: NonNullable<ReadAnswer['source']>,
  reason: string,
  contextVersion: number,
  generation: string | null,
): ReadAnswer {
  const said = { userId, source, reason, score, contextVersion, predictedFromContextVersion: label, generation };
  return { ...said, status: 200, variant: 'stable', modelVersion: '1', computedBy: 1, etag: JSON.stringify(said) };
}

/** Runs steps in the order of their times. A step may plan further steps, but only at later times. */
function runInOrder(steps: Step[]): void {
  let ordered: Step[] = [];
  for (;;) {
    if (steps.length > 0) ordered = [...ordered, ...steps.splice(0)].sort((a, b) => b.time - a.time);
    const next = ordered.pop();
    if (!next) return;
    next.run();
  }
}
