// Server-sent events, parsed from text as it arrives (HTML standard, "event stream").
// Our own reader instead of EventSource: we say `Last-Event-ID` ourselves, so that a restart of
// the server, a 502 of a proxy and a new tab all resume in the same way.

export interface SseMessage {
  id: string | null;
  event: string;
  data: string;
}

export class SseParser {
  private rest = '';
  private data: string[] = [];
  private event = '';
  private id: string | null = null;

  /** Feeds a piece of the stream; returns the messages that it completes. */
  push(chunk: string): SseMessage[] {
    const messages: SseMessage[] = [];
    const lines = (this.rest + chunk).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === '') {
        if (this.data.length) {
          messages.push({ id: this.id, event: this.event || 'message', data: this.data.join('\n') });
        }
        this.data = [];
        this.event = '';
      } else if (!line.startsWith(':')) {
        this.field(line);
      }
    }
    return messages;
  }

  private field(line: string): void {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'data') this.data.push(value);
    else if (name === 'event') this.event = value;
    else if (name === 'id') this.id = value;
  }
}
