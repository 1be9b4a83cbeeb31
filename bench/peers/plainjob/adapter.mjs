// plainjob: SQLite through better-sqlite3, one job at a time a worker, polled every 10 ms (by default: 1,000).
// It sets synchronous=NORMAL itself; FULL is set after it. Jobs of a closed account are of a type without a worker.
import path from 'node:path';
import Database from 'better-sqlite3';
import { JobStatus, better, defineQueue, defineWorker } from 'plainjob';
import { contend } from '../contender.mjs';

const POLL_MS = 10;
const BREATH = 200; // jobs after which a worker that never waits lets others have the thread
const logger = { debug() {}, info() {}, warn() {}, error: console.error };

contend(async ({ folder, sync, in_hand: inHand }) => {
  const file = new Database(path.join(folder, 'plainjob.db'));
  const queue = defineQueue({ connection: better(file), logger });
  file.pragma(`synchronous = ${sync}`);
  const wait = (due) => (due ? { delay: Math.max(0, due - Date.now()) } : undefined);
  return {
    add: async (job) => queue.add('open', job),
    addAll: async (jobs, { due, shut }) => queue.addMany(shut ? 'shut' : 'open', jobs, wait(due)),
    async work(run) {
      let ran = 0;
      const handle = async ({ data }) => {
        await run(JSON.parse(data));
        ran += 1;
        if (ran % BREATH === 0) await new Promise((resolve) => setImmediate(resolve));
      };
      for (let count = 0; count < (inHand ?? 1); count += 1) {
        defineWorker('open', handle, { queue, logger, pollIntervall: POLL_MS }).start();
      }
    },
    async left() {
      const due = 'SELECT count(*) AS n FROM plainjob_jobs WHERE type = ? AND status IN (?, ?) AND next_run_at <= ?';
      return file.prepare(due).get('open', JobStatus.Pending, JobStatus.Processing, Date.now()).n;
    },
    analyze: async () => file.exec('ANALYZE'),
  };
});
