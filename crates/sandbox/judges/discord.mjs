import assert from 'node:assert/strict';
import { REST } from '@discordjs/rest';

export const client = '@discordjs/rest';

export async function judge({ url, fields, ledger }) {
  const rest = (token) => new REST({ version: '10', api: `${url}/api`, retries: 0 }).setToken(token);
  const bot = rest(fields.botToken);
  const messages = `/channels/${fields.channelId}/messages`;
  const me = await bot.get('/users/@me');
  assert.equal(me.bot, true);
  const body = { content: 'Judged', nonce: 'n1', enforce_nonce: true };
  const one = await bot.post(messages, { body });
  assert.equal((await bot.post(messages, { body })).id, one.id);
  const reply = await bot.post(messages, { body: { content: 'And more', message_reference: { message_id: one.id } } });
  assert.equal(reply.message_reference.message_id, one.id);
  const file = { name: 'words.txt', data: Buffer.from('Words') };
  const withFile = await bot.post(messages, { body: { content: 'A file' }, files: [file] });
  assert.equal(withFile.attachments[0].filename, 'words.txt');
  const listed = await bot.get(messages, { query: new URLSearchParams({ limit: '100' }) });
  assert.deepEqual(listed.map((m) => m.id), [withFile.id, reply.id, one.id]);
  const poll = { question: { text: 'Which?' }, answers: [{ poll_media: { text: 'Rye' } }, { poll_media: { text: 'Oats' } }], duration: 48 };
  const asked = await bot.post(messages, { body: { poll } });
  assert.deepEqual(asked.poll.answers.map((answer) => answer.poll_media.text), ['Rye', 'Oats']);
  await assert.rejects(bot.patch(`${messages}/${asked.id}`, { body: { content: 'Another' } }), (e) => e.code === 520003);
  await assert.rejects(bot.post(messages, { body: { poll: { ...poll, duration: 800 } } }), (e) => e.status === 400);
  await bot.delete(`${messages}/${asked.id}`);
  assert.equal((await ledger()).length, 3);
  await bot.delete(`${messages}/${reply.id}`);
  assert.equal((await ledger()).length, 2);
  await assert.rejects(rest('nonsense').get('/users/@me'), (e) => e.status === 401);
  return ['me', 'post', 'nonce', 'reply', 'file', 'list', 'poll', 'delete', '401'];
}
