// Reads an array of texts; writes the length of each as X's library weighs it, and the top-level
// domains that the library knows.
const { readFileSync } = require('node:fs');
const { parseTweet } = require('twitter-text');

const topLevel = ['validGTLD', 'validCCTLD'].flatMap((name) => {
  const { source } = require(`twitter-text/dist/regexp/${name}`);
  return source.replace(/\(\?=.*$/s, '').split(/[(?:|)]+/).filter(Boolean);
});
const texts = JSON.parse(readFileSync(0, 'utf8'));
const lengths = texts.map((text) => parseTweet(text).weightedLength);
process.stdout.write(JSON.stringify({ lengths, topLevel }));
