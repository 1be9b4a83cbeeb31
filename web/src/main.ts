// Starts the app: theme, boot data, the page of the address, then one mount over the skeleton.

import { mount } from 'svelte';
import App from './app/App.svelte';
import { readBoot } from './app/boot';
import { desk } from './app/desk.svelte';
import { speak } from './app/i18n';
import { pages } from './app/pages';
import { router } from './app/router.svelte';
import { store } from './app/store.svelte';
import { theme } from './app/theme.svelte';
import { installWorker } from './app/worker';
import './ui/base.css';

theme.apply();
const boot = readBoot();
store.start(boot);
desk.start(boot);

// After an upgrade of the server an open tab may ask for chunks that are gone: load the new app, once.
addEventListener('vite:preloadError', (event) => {
  if (sessionStorage.getItem('carillon.reloaded')) return;
  sessionStorage.setItem('carillon.reloaded', '1');
  event.preventDefault();
  location.reload();
});

// One address for the planner.
if (location.pathname === '/') history.replaceState(history.state, '', `/planner${location.search}`);

const name = router.current.page;
const [{ default: Page }] = await Promise.all([pages[name](), speak()]);

const target = document.getElementById('app');
if (!target) throw new Error('the shell has no #app');
target.replaceChildren();
mount(App, { target, props: { name, Page } });
if (document.readyState === 'complete') installWorker();
else addEventListener('load', installWorker, { once: true });
