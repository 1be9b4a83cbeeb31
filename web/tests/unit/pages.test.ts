import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { placesOf } from '../../src/app/places';

/** Where a page's picture has another name than its address. */
const PICTURED: Record<string, string> = { media: 'library' };

test('every page stands in docs/pages.md with a picture that is there', () => {
  const text = readFileSync('../docs/pages.md', 'utf8');
  const pictures = [...text.matchAll(/\((images\/pages\/(.*)\.webp)\)/g)];
  const named = pictures.map((m) => m[2]);
  for (const { page } of placesOf()) expect(named).toContain(PICTURED[page] ?? page);
  for (const [, path] of pictures) expect(readFileSync(`../docs/${path}`).subarray(8, 12).toString()).toBe('WEBP');
});
