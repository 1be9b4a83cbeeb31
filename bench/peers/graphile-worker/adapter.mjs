// graphile-worker at the settings its documentation gives for throughput: a local queue of 500 and completions
// in batches. Jobs of a closed account are of a task that no worker knows.
import { Logger, makeWorkerUtils, run as start } from 'graphile-worker';
import pg from 'pg';
import { contend } from '../contender.mjs';

const IN_HAND = 24;
const LOCAL_QUEUE = 500;
const POOL = 26;
const silent = new Logger(() => () => {});

contend(async ({ url, in_hand: inHand }) => {
  const pool = new pg.Pool({ connectionString: url, max: 32 });
  pool.on('error', console.error);
  pool.on('connect', (client) => client.on('error', console.error));
  const utils = await makeWorkerUtils({ pgPool: pool, logger: silent });
  await utils.migrate();
  return {
    add: (job) => utils.addJob('open', job),
    addAll: (jobs, { due, shut }) =>
      pool.query(
        `SELECT 1 FROM graphile_worker.add_jobs(ARRAY(
           SELECT row($1, payload, NULL, $2::timestamptz, NULL, NULL, NULL, NULL)::graphile_worker.job_spec
           FROM json_array_elements($3::json) AS payload))`,
        [shut ? 'shut' : 'open', due ? new Date(due) : null, JSON.stringify(jobs)],
      ),
    work: (run) =>
      start({
        preset: {
          worker: {
            connectionString: url,
            concurrentJobs: inHand ?? IN_HAND,
            maxPoolSize: POOL,
            pollInterval: 1000,
            localQueue: { size: LOCAL_QUEUE },
            completeJobBatchDelay: 0,
            failJobBatchDelay: 0,
          },
        },
        logger: silent,
        noHandleSignals: true,
        taskList: { open: async (job) => run(job) },
      }),
    async left() {
      const { rows } = await pool.query(
        `SELECT count(*) AS n FROM graphile_worker._private_jobs AS job
         JOIN graphile_worker._private_tasks AS task ON task.id = job.task_id
         WHERE task.identifier = 'open' AND job.run_at <= now()`,
      );
      return Number(rows[0].n);
    },
    analyze: () => pool.query('ANALYZE'),
  };
});
