// A key for `Idempotency-Key`. `crypto.randomUUID` is missing on plain http, so by hand.
export function freshKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
}
