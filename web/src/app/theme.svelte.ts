// Light, dark, or as the system says. The choice lives in this browser.

export type Theme = 'system' | 'light' | 'dark';
const KEY = 'carillon.theme';

class ThemeChoice {
  value = $state<Theme>(read());

  apply(): void {
    if (this.value === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.value;
  }
  set(value: Theme): void {
    this.value = value;
    if (value === 'system') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, value);
    this.apply();
  }
}

export const theme = new ThemeChoice();

function read(): Theme {
  const stored = localStorage.getItem(KEY);
  return stored === 'light' || stored === 'dark' ? stored : 'system';
}
