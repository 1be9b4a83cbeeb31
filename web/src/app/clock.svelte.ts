// The time as the screen shows it: what is "today", what is past. Ticks every 15 s.

class Clock {
  now = $state(Date.now());
  run(): () => void {
    const timer = setInterval(() => (this.now = Date.now()), 15_000);
    return () => clearInterval(timer);
  }
}
export const clock = new Clock();
