// Three JPEGs of each picture with ffmpeg compiled to WebAssembly, one instance, one run a picture.
//
//   node wasm.mjs OUT FILTER FILE…
//
// The core of @ffmpeg/core without its wrapper, which refuses Node.js: it expects a worker's scope.
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runInThisContext } from 'node:vm';

const SIZES = ['1080x1350', '1080x1920', '1920x1080'];
const [out, filter, ...files] = process.argv.slice(2);
const script = fileURLToPath(new URL('node_modules/@ffmpeg/core/dist/umd/ffmpeg-core.js', import.meta.url));
globalThis.self = globalThis;
globalThis.location = { href: 'file:///' };
const wrapped = `(function (module, exports, process) {${readFileSync(script, 'utf8')};return createFFmpegCore;})`;
const create = runInThisContext(wrapped)({ exports: {} }, {}, undefined);
const core = await create({
  wasmBinary: readFileSync(join(dirname(script), 'ffmpeg-core.wasm')),
  mainScriptUrlOrBlob: `file:///x#${btoa(JSON.stringify({ wasmURL: 'ffmpeg-core.wasm', workerURL: '' }))}`,
});
const said = [];
core.setLogger(line => said.push(line.message ?? line));

for (const file of files) {
  const name = basename(file);
  core.FS.writeFile(name, readFileSync(file));
  const outputs = SIZES.flatMap((_, i) => ['-map', `[o${i}]`, '-frames:v', '1', '-q:v', '2', '-pix_fmt', 'yuvj420p', `${i}.jpg`]);
  if (core.exec('-i', name, '-filter_complex', filter, ...outputs) !== 0) {
    throw new Error(`${name}: ${said.slice(-3).join('; ')}`);
  }
  SIZES.forEach((size, i) => {
    writeFileSync(join(out, `${name}-${size}.jpg`), core.FS.readFile(`${i}.jpg`));
    core.FS.unlink(`${i}.jpg`);
  });
  core.FS.unlink(name);
  core.reset();
}
