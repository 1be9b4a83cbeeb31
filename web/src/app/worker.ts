// Makes the app installable, with a page to show where the server cannot be reached (public/sw.js).

const SCRIPT = '/sw.js';

/** The content security policy lets no other text become a script's address than this one. */
interface Policies {
  createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): { createScriptURL(url: string): unknown };
}

export function installWorker(): void {
  if (!import.meta.env.PROD || !('serviceWorker' in navigator)) return;
  const { trustedTypes } = window as { trustedTypes?: Policies };
  const policy = trustedTypes?.createPolicy('carillon-worker', { createScriptURL: () => SCRIPT });
  const url = (policy?.createScriptURL(SCRIPT) ?? SCRIPT) as string;
  navigator.serviceWorker.register(url).catch((error: unknown) => {
    // Private windows and full disks refuse: the app works without it.
    console.info('no page for offline:', error);
  });
}
