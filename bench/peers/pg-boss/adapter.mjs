// pg-boss at the settings its documentation gives for throughput: LISTEN/NOTIFY, batches of 500 and polling at
// once when a batch was full. Jobs of a closed account lie in a queue that no worker has.
import { PgBoss } from 'pg-boss';
import pg from 'pg';
import { contend } from '../contender.mjs';

const WORKERS = 4;
const BATCH = 500;

contend(async ({ url, in_hand: inHand }) => {
  const options = { connectionString: url, useListenNotify: true };
  const begin = async (more) => {
    const boss = new PgBoss({ ...options, ...more });
    boss.on('error', console.error);
    await boss.start();
    return boss;
  };
  const boss = await begin({ max: 32 });
  await boss.createQueue('open', { notify: true });
  await boss.createQueue('shut');
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  return {
    add: (job) => boss.send('open', job),
    addAll(jobs, { due, shut }) {
      const startAfter = due ? new Date(due) : undefined;
      return boss.insert(shut ? 'shut' : 'open', jobs.map((data) => ({ data, startAfter })));
    },
    async work(run) {
      const worker = await begin({ max: 10, supervise: false, schedule: false });
      const how = {
        batchSize: inHand ? Math.ceil(inHand / WORKERS) : BATCH,
        pollingIntervalSeconds: 0.5,
        notifyPollingIntervalSeconds: 0.5,
        burstWhenBatchFull: true,
      };
      const handle = (jobs) => Promise.all(jobs.map(({ data }) => run(data)));
      for (let count = 0; count < WORKERS; count += 1) await worker.work('open', how, handle);
    },
    async left() {
      const { rows } = await pool.query(
        `SELECT count(*) AS n FROM pgboss.job WHERE name = 'open' AND state < 'completed' AND start_after <= now()`,
      );
      return Number(rows[0].n);
    },
    analyze: () => pool.query('ANALYZE'),
  };
});
