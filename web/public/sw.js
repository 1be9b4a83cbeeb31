// A page to show where there is no way to the server, so that the installed app opens to a sentence
// and not to the browser's error. It keeps nothing that a person wrote or a server said: answers of
// the API and signed-in pages are never stored. Files of the build need no help: their names change
// with their content, and the browser keeps them for ever.

const CACHE = 'carillon-1';
const STYLE = '/assets-pages/pages.css';

const WORDS = {
  en: {
    title: 'Offline',
    text: 'Carillon cannot be reached from here. What is planned goes out all the same: the server does that, not this device.',
    since: 'As of',
    again: 'Try again',
  },
  de: {
    title: 'Offline',
    text: 'Carillon ist von hier aus nicht zu erreichen. Was geplant ist, geht trotzdem hinaus: Das macht der Server, nicht dieses Gerät.',
    since: 'Stand',
    again: 'Erneut versuchen',
  },
};

self.addEventListener('install', (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll([STYLE, '/favicon.svg']))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener('activate', (event) => {
  const old = (names) => names.filter((name) => name !== CACHE);
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(old(names).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.mode === 'navigate') event.respondWith(fetch(request).catch(offline));
  // The page above looks the same without the server.
  else if (new URL(request.url).pathname === STYLE) event.respondWith(fetch(request).catch(() => caches.match(STYLE)));
});

function offline() {
  const language = navigator.language.startsWith('de') ? 'de' : 'en';
  const { title, text, since, again } = WORDS[language];
  const now = new Date().toLocaleTimeString(navigator.language, { timeStyle: 'short' });
  const html = `<!doctype html>
<html lang="${language}">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta http-equiv="refresh" content="15" />
    <title>${title} – Carillon</title>
    <link rel="stylesheet" href="${STYLE}" />
  </head>
  <body>
    <header class="brand"><span>Carillon</span></header>
    <main class="sheet">
      <h1>${title}</h1>
      <p>${text}</p>
      <p>${since} ${now}.</p>
      <p><a href="">${again}</a></p>
    </main>
  </body>
</html>`;
  const policy = "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  return new Response(html, { status: 503, headers: { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': policy } });
}
