// Three JPEGs of each picture with sharp, one picture after the other; libvips uses all cores by itself.
//
//   node sharp.mjs each|once OUT FILE…
//
// `each` decodes the file for every JPEG, as most people write it; `once` decodes it to pixels and
// cuts all three from these. Huffman tables are optimised, as they are by default.
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import sharp from 'sharp';

const SIZES = [[1080, 1350], [1080, 1920], [1920, 1080]];
const [how, out, ...files] = process.argv.slice(2);
sharp.cache(false);

async function source(file) {
  if (how === 'each') {
    const data = await readFile(file);
    return () => sharp(data).rotate();
  }
  const { data, info } = await sharp(file).rotate().removeAlpha().raw().toBuffer({ resolveWithObject: true });
  return () => sharp(data, { raw: { width: info.width, height: info.height, channels: 3 } });
}

for (const file of files) {
  const open = await source(file);
  for (const [width, height] of SIZES) {
    const to = join(out, `${basename(file)}-${width}x${height}.jpg`);
    await open().resize(width, height, { fit: 'cover' }).jpeg({ quality: 82 }).toFile(to);
  }
}
