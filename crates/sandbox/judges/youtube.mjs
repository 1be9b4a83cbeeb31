import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import library from '@googleapis/youtube';
import { signIn, signOut } from './google.mjs';

export const client = '@googleapis/youtube';

const scope = ['https://www.googleapis.com/auth/youtube.upload', 'https://www.googleapis.com/auth/youtube.force-ssl'];

export async function judge({ app, consent, picture, ledger }) {
  const google = await signIn(library.auth, { app, consent }, scope);
  const youtube = library.youtube({ version: 'v3', auth: google });
  const { data: channels } = await youtube.channels.list({ part: ['snippet', 'contentDetails'], mine: true });
  assert.equal(channels.items[0].snippet.title, 'judge');
  assert.match(channels.items[0].contentDetails.relatedPlaylists.uploads, /^UU/);
  const media = (mimeType, bytes) => ({ mimeType, body: Readable.from([bytes]) });
  const requestBody = {
    snippet: { title: 'Judged', description: 'And found', tags: ['bells'], categoryId: '22' },
    status: { privacyStatus: 'unlisted', selfDeclaredMadeForKids: false },
  };
  const film = media('video/mp4', Buffer.alloc(1_000, 7));
  const { data: video } = await youtube.videos.insert({ part: ['snippet', 'status'], requestBody, media: film });
  assert.equal(video.snippet.title, 'Judged');
  await youtube.thumbnails.set({ videoId: video.id, media: media('image/jpeg', picture) });
  const { data: listed } = await youtube.videos.list({ part: ['snippet', 'status', 'processingDetails'], id: [video.id] });
  const [read] = listed.items;
  assert.deepEqual([read.id, read.status.privacyStatus, read.processingDetails.processingStatus], [video.id, 'unlisted', 'processing']);
  assert.ok(read.snippet.thumbnails.default.url);
  const snippet = { videoId: video.id, topLevelComment: { snippet: { textOriginal: 'First' } } };
  const { data: thread } = await youtube.commentThreads.insert({ part: ['snippet'], requestBody: { snippet } });
  assert.deepEqual((await ledger()).map((post) => post.text), ['First']);
  await youtube.comments.delete({ id: thread.id });
  const status = { privacyStatus: 'private' };
  const { data: changed } = await youtube.videos.update({ part: ['status'], requestBody: { id: video.id, status } });
  assert.equal(changed.status.privacyStatus, 'private');
  await youtube.videos.delete({ id: video.id });
  const gone = (e) => e.status === 404 && e.response.data.error.errors[0].reason === 'videoNotFound';
  await assert.rejects(youtube.videos.delete({ id: video.id }), gone);
  assert.equal((await ledger()).length, 0);
  await signOut(google, () => youtube.channels.list({ part: ['id'], mine: true }));
  return ['sign in with PKCE', 'refresh', 'channel', 'upload', 'thumbnail', 'read', 'comment', 'update', 'delete', '404', 'revoke'];
}
