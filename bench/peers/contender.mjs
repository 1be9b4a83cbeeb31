// A contender written for Node.js: a queue behind the line protocol that bench/README.md describes. An adapter
// calls `contend(open)`; `open(place)` gives `{ add, addAll, work, left, analyze }`. bench/contender is the same in Rust.
import { openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';

const LOTS = 4; // lots under way at once
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** µs since 1970: the clock that all processes of a machine share, read finer than its milliseconds. */
const us = () => start + performance.now() * 1000;
const start = offset();

/** Whole milliseconds and every interruption only make the difference smaller: the largest is the true one. */
function offset() {
  let most = 0;
  const end = performance.now() + 20;
  while (performance.now() < end) most = Math.max(most, Date.now() - performance.now());
  return most * 1000;
}

export async function contend(open) {
  process.on('unhandledRejection', (error) => {
    console.error(error);
    process.exit(1);
  });
  const queue = await open(JSON.parse(process.argv[2]));
  const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
  let handler;
  const commands = {
    add: (c) => timed(() => addOneByOne(queue, c)),
    add_all: (c) => timed(() => addInLots(queue, c)),
    trickle: (c) => timed(() => trickle(queue, c)),
    work: async (c) => {
      handler = new Handler(c);
      await queue.work((job) => handler.run(job));
      return { working: true };
    },
    wait: (c) => handler.wait(c.n, c.limit_ms),
    left: async () => ({ left: await queue.left() }),
    analyze: async () => {
      await queue.analyze?.();
      return { analyzed: true };
    },
  };
  say({ ready: true });
  const lines = createInterface({ input: process.stdin });
  // Whatever is under way: the driver has what it wants.
  lines.on('close', () => process.exit(0));
  let turn = Promise.resolve();
  lines.on('line', (line) => {
    const command = JSON.parse(line);
    turn = turn.then(async () => say(await commands[command.do](command)));
  });
}

/** What a job does: nothing, or a wait in place of a network. It counts, and keeps the ledger. */
class Handler {
  constructor({ delay_ms: delay, ledger }) {
    this.delay = delay;
    // A line for every run, written at once: what is in it has happened, also after `kill -9`.
    this.ledger = ledger ? openSync(ledger, 'a') : undefined;
    this.seen = { n: 0, first_us: 0, last_us: 0, late_us: [] };
    this.enough = undefined;
  }

  /** A promise only where there is something to wait for: a no-op stays one. */
  run(job) {
    if (this.delay > 0) return sleep(this.delay).then(() => this.count(job));
    this.count(job);
    return undefined;
  }

  count(job) {
    if (this.ledger !== undefined) writeSync(this.ledger, `${job.id}\n`);
    const now = Math.round(us());
    const { seen } = this;
    if (seen.n === 0) seen.first_us = now;
    seen.n += 1;
    seen.last_us = now;
    if (job.t > 0) seen.late_us.push(now - job.t);
    if (this.enough && seen.n >= this.enough.n) this.enough.resolve();
  }

  async wait(n, limit) {
    if (this.seen.n < n) {
      let timer;
      await new Promise((resolve) => {
        this.enough = { n, resolve };
        timer = setTimeout(resolve, limit);
      });
      clearTimeout(timer);
    }
    return this.seen;
  }
}

async function addOneByOne(queue, { n, callers, limit_ms: limit }) {
  const end = performance.now() + limit;
  let next = 0;
  let done = 0;
  const caller = async () => {
    while (next < n && performance.now() < end) {
      next += 1;
      await queue.add({ id: next - 1, t: 0 });
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return done;
}

async function addInLots(queue, { n, lot, t, due, shut }) {
  let next = 0;
  const caller = async () => {
    while (next < n) {
      const first = next;
      next = Math.min(n, first + lot);
      const jobs = Array.from({ length: next - first }, (_, i) => ({ id: first + i, t }));
      await queue.addAll(jobs, { due, shut });
    }
  };
  await Promise.all(Array.from({ length: LOTS }, caller));
  return n;
}

/** The pace is uneven so that it never falls into step with somebody's poll. */
async function trickle(queue, { n, gap_ms: gap }) {
  for (let id = 0; id < n; id += 1) {
    await queue.add({ id, t: Math.round(us()) });
    await sleep((gap * (600 + ((id * 7919) % 801))) / 1000);
  }
  return n;
}

async function timed(work) {
  const from = performance.now();
  const n = await work();
  return { n, us: Math.round((performance.now() - from) * 1000) };
}
