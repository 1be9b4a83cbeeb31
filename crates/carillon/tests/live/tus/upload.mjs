// Uploads a file with tus-js-client: node upload.mjs ENDPOINT KEY FILE URLS
//
// URLS is the file in which the client keeps where its uploads are, so that another process of it goes
// on with one that was begun. Pauses once, at a third of the file. Says, a line of JSON each: `from`,
// the first offset that it sends from, and `media`, the id that it ends with.

import { createReadStream } from 'node:fs';
import { FileUrlStorage, Upload } from 'tus-js-client';

const [endpoint, key, file, urls] = process.argv.slice(2);
const say = (said) => console.log(JSON.stringify(said));

let paused = false;
let told = false;
const upload = new Upload(createReadStream(file), {
  endpoint,
  headers: { authorization: `Bearer ${key}` },
  metadata: { filename: 'quay.jpg', alt: 'The quay' },
  urlStorage: new FileUrlStorage(urls),
  // It goes on asking while the server is started again.
  retryDelays: Array(200).fill(100),
  onBeforeRequest: (request) => {
    if (request.getMethod() === 'PATCH' && !told) say({ from: Number(request.getHeader('Upload-Offset')) });
    told ||= request.getMethod() === 'PATCH';
  },
  onProgress: async (sent, size) => {
    if (paused || sent < size / 3) return;
    paused = true;
    await upload.abort();
    upload.start();
  },
  onSuccess: ({ lastResponse }) => say({ media: lastResponse.getHeader('Media-Id') }),
  onError: (error) => {
    console.error(error);
    process.exitCode = 1;
  },
});
const [previous] = await upload.findPreviousUploads();
if (previous) {
  // It has paused in its earlier life.
  paused = true;
  upload.resumeFromPreviousUpload(previous);
}
upload.start();
