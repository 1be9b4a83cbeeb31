import assert from 'node:assert/strict';
import { finalizeEvent, getPublicKey, verifyEvent } from 'nostr-tools/pure';
import { Relay, useWebSocketImplementation } from 'nostr-tools/relay';
import WebSocket from 'ws';

export const client = 'nostr-tools';

// Older versions of Node.js have no WebSocket of their own.
useWebSocketImplementation(WebSocket);

export async function judge({ fields, ledger }) {
  const secret = Uint8Array.from(Buffer.from(fields.secretKey, 'hex'));
  const relay = await Relay.connect(fields.relays);
  const now = Math.floor(Date.now() / 1000);
  const note = finalizeEvent({ kind: 1, created_at: now, tags: [], content: 'Judged' }, secret);
  await relay.publish(note);
  await relay.publish(note);
  assert.equal((await ledger()).length, 1);
  const found = await new Promise((done) => {
    const events = [];
    const asked = relay.subscribe([{ kinds: [1], authors: [getPublicKey(secret)] }], {
      onevent: (event) => events.push(event),
      oneose: () => (asked.close(), done(events)),
    });
  });
  assert.equal(found.length, 1);
  assert.ok(verifyEvent(found[0]));
  await assert.rejects(relay.publish({ ...note, content: 'Forged' }), /invalid/);
  await relay.publish(finalizeEvent({ kind: 5, created_at: now, tags: [['e', note.id]], content: '' }, secret));
  assert.equal((await ledger()).length, 0);
  relay.close();
  return ['publish', 'again', 'read by author', 'a forged event', 'delete'];
}
