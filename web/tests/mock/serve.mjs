// `node tests/mock/serve.mjs [--listen 127.0.0.1:8420] [--data DIR] [--empty]`: the mock as a
// process. With --data it writes DIR/demo.json, as the real server does.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startMock } from './server.mjs';

const { values } = parseArgs({
  options: { listen: { type: 'string', default: '127.0.0.1:8420' }, data: { type: 'string' }, empty: { type: 'boolean', default: false } },
});
const mock = await startMock({ port: Number(values.listen.split(':').at(-1)), empty: values.empty });
if (values.data) {
  mkdirSync(values.data, { recursive: true });
  const demo = { url: mock.url, apiKey: 'car_mock', sandboxUrl: mock.sandboxUrl, loginUrl: mock.loginUrl };
  writeFileSync(join(values.data, 'demo.json'), JSON.stringify(demo));
}
console.log(`${mock.loginUrl}`);
process.on('SIGTERM', () => mock.close().then(() => process.exit(0)));
