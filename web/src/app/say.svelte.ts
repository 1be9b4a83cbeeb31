// Sentences for screen readers: one polite live region for the whole app.

class Voice {
  sentence = $state('');
  say(sentence: string): void {
    // The same sentence twice is only spoken when the text changes.
    this.sentence = this.sentence === sentence ? `${sentence}\u00a0` : sentence;
  }
}
export const voice = new Voice();
