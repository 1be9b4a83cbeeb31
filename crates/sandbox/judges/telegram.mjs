import assert from 'node:assert/strict';
import { Api, GrammyError, InputFile, InputMediaBuilder } from 'grammy';

export const client = 'grammy';

/** A picture of one pixel. */
const PIXEL = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');

export async function judge({ url, ledger }) {
  const api = new Api('123456:sandbox-judge', { apiRoot: url });
  const me = await api.getMe();
  assert.equal(me.is_bot, true);
  const chat = await api.getChat('@judge');
  assert.equal(chat.type, 'channel');
  const message = await api.sendMessage('@judge', '<b>Judged</b> &amp; found', { parse_mode: 'HTML' });
  assert.equal(message.text, 'Judged & found');
  assert.equal(message.entities[0].type, 'bold');
  const photo = await api.sendPhoto('@judge', new InputFile(PIXEL, 'dot.png'), { caption: 'A dot' });
  assert.equal(photo.caption, 'A dot');
  const album = await api.sendMediaGroup('@judge', [1, 2].map((i) => InputMediaBuilder.photo(new InputFile(PIXEL, `${i}.png`))));
  assert.equal(album.length, 2);
  assert.equal(album[0].media_group_id, album[1].media_group_id);
  const asked = await api.sendPoll('@judge', 'Which loaf?', [{ text: 'Rye' }, { text: 'Oats' }], { allows_multiple_answers: true });
  assert.deepEqual([asked.poll.question, asked.poll.options.map((option) => option.text), asked.poll.is_anonymous], ['Which loaf?', ['Rye', 'Oats'], true]);
  const refused = (e) => e instanceof GrammyError && e.error_code === 400;
  await assert.rejects(api.editMessageText('@judge', asked.message_id, 'Another?'), refused);
  await assert.rejects(api.sendPoll('@judge', 'One?', [{ text: 'Rye' }]), refused);
  await assert.rejects(api.sendPoll('@judge', 'Who?', [{ text: 'Rye' }, { text: 'Oats' }], { is_anonymous: false }), refused);
  await api.deleteMessage('@judge', asked.message_id);
  assert.equal((await ledger()).length, 3);
  assert.equal(await api.deleteMessage('@judge', message.message_id), true);
  assert.equal((await ledger()).length, 2);
  await assert.rejects(api.sendMessage('@nochat', 'x'), (e) => e instanceof GrammyError && e.error_code === 400);
  await assert.rejects(new Api('1:nonsense', { apiRoot: url }).getMe(), (e) => e instanceof GrammyError && e.error_code === 401);
  return ['getMe', 'getChat', 'text with entities', 'photo', 'album', 'poll', 'delete', '400', '401'];
}
