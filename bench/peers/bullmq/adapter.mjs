// BullMQ: lists and sorted sets in Redis, scripts in Lua. Finished jobs are removed, 100 in hand at once.
import { Queue, Worker } from 'bullmq';
import { contend } from '../contender.mjs';

const IN_HAND = 100;

contend(async ({ url, in_hand: inHand }) => {
  const { hostname: host, port } = new URL(url);
  const connection = { host, port: Number(port), maxRetriesPerRequest: null };
  const options = { connection, defaultJobOptions: { removeOnComplete: true } };
  const queue = new Queue('open', options);
  // A closed account's jobs: a queue of their own that is paused.
  const shut = new Queue('shut', options);
  await Promise.all([queue.waitUntilReady(), shut.waitUntilReady()]);
  const wait = (due) => (due ? { delay: Math.max(0, due - Date.now()) } : undefined);
  return {
    add: (job) => queue.add('job', job),
    async addAll(jobs, { due, shut: isShut }) {
      if (isShut) await shut.pause();
      await (isShut ? shut : queue).addBulk(jobs.map((data) => ({ name: 'job', data, opts: wait(due) })));
    },
    async work(run) {
      const worker = new Worker('open', async ({ data }) => run(data), { connection, concurrency: inHand ?? IN_HAND });
      await worker.waitUntilReady();
    },
    async left() {
      const counts = await queue.getJobCounts('waiting', 'active', 'prioritized', 'paused');
      return Object.values(counts).reduce((sum, n) => sum + n, 0);
    },
  };
});
