/// <reference types="vitest/config" />
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';
import { messages } from './scripts/messages.ts';

// During development the API is either the real server or tests/mock (`node tests/mock/serve.mjs`).
const api = process.env.CARILLON_URL ?? 'http://127.0.0.1:8420';

export default defineConfig(({ mode }) => ({
  plugins: [messages(), svelte()],
  resolve: mode === 'test' ? { conditions: ['browser'] } : {},
  server: {
    port: 5173,
    proxy: { '/api': api, '/login': api, '^/media/.+': api },
  },
  build: {
    target: 'es2022',
    manifest: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // What every page needs is one file: as two dozen it took as many requests and was larger.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'app', tags: ['$initial'], test: /^(?!.*(index\.html|main\.ts)$)/ }] } } },
  },
  test: {
    environment: 'happy-dom',
    include: ['tests/unit/**/*.test.ts'],
    env: { TZ: 'UTC' },
  },
}));
