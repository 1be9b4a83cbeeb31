import { expect, test } from 'vitest';
import { SseParser } from '../../src/app/sse';

const stream = 'event: hello\ndata: {}\n\n: keep-alive\n\nid: 7\nevent: delivery\ndata: {"a":\ndata: 1}\n\nid: 8\r\ndata: x\r\n\r\n';
const expected = [
  { id: null, event: 'hello', data: '{}' },
  { id: '7', event: 'delivery', data: '{"a":\n1}' },
  { id: '8', event: 'message', data: 'x' },
];

test('messages are whole, whatever the pieces they arrive in', () => {
  for (let size = 1; size <= stream.length; size++) {
    const parser = new SseParser();
    const found = [];
    for (let i = 0; i < stream.length; i += size) found.push(...parser.push(stream.slice(i, i + size)));
    expect(found).toEqual(expected);
  }
});

test('a message that the break cut off is not handed out', () => {
  expect(new SseParser().push('id: 9\ndata: half')).toEqual([]);
});
