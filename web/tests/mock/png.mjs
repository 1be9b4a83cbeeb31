// Small pictures made on the spot: a gradient with a disc, different for every seed.

import { crc32, deflateSync } from 'node:zlib';

export function png(width, height, seed = 1) {
  const hue = (seed * 47) % 360;
  const row = 1 + width * 3;
  const raw = Buffer.alloc(row * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const disc = Math.hypot(x - width * 0.62, y - height * 0.45) < Math.min(width, height) * 0.24;
      const [r, g, b] = hsl(disc ? hue + 170 : hue + (x / width) * 30, 0.5, disc ? 0.72 : 0.35 + (y / height) * 0.3);
      raw.set([r, g, b], y * row + 1 + x * 3);
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(raw)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** One of about this many bytes: the rest is a chunk that no decoder knows. */
export function heavy(bytes, seed = 1) {
  const small = png(320, 240, seed);
  const rest = Buffer.alloc(bytes - small.length - 12);
  // Dense, and the same for the same seed.
  for (let i = 0, n = seed; i < rest.length; i++) rest[i] = (n = (n * 1_103_515_245 + 12_345) >>> 0) >>> 16;
  return Buffer.concat([small.subarray(0, -12), chunk('caRi', rest), small.subarray(-12)]);
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data]);
  const out = Buffer.alloc(12 + data.length);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), 8 + data.length);
  return out;
}

function hsl(h, s, l) {
  const f = (n) => {
    const k = (n + h / 30) % 12;
    return Math.round(255 * (l - s * Math.min(l, 1 - l) * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [f(0), f(8), f(4)];
}
