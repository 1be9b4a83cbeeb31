// How near the JPEGs of some folders are to a lossless scaling of their originals (sharp's own
// Lanczos, which favours sharp): the mean PSNR of red, green and blue in dB, as {"FOLDER": 37.6}.
//
//   node quality.mjs FOLDER,FOLDER… FILE…
import { basename, join } from 'node:path';
import sharp from 'sharp';

const SIZES = [[1080, 1350], [1080, 1920], [1920, 1080]];
const [folders, ...files] = process.argv.slice(2);
const all = Object.fromEntries(folders.split(',').map(folder => [folder, []]));
for (const file of files) {
  for (const [width, height] of SIZES) {
    const right = await sharp(file).removeAlpha().resize(width, height, { fit: 'cover' }).raw().toBuffer();
    for (const [folder, found] of Object.entries(all)) {
      const jpeg = join(folder, `${basename(file)}-${width}x${height}.jpg`);
      const pixels = await sharp(jpeg).toColourspace('srgb').raw().toBuffer();
      if (pixels.length !== right.length) throw new Error(`${jpeg} has another size`);
      let sum = 0;
      for (let i = 0; i < pixels.length; i++) sum += (pixels[i] - right[i]) ** 2;
      found.push(10 * Math.log10(255 ** 2 / (sum / pixels.length)));
    }
  }
}
const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length;
console.log(JSON.stringify(Object.fromEntries(Object.entries(all).map(([f, values]) => [f, mean(values)]))));
