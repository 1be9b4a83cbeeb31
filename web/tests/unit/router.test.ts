import { expect, test } from 'vitest';
import { router } from '../../src/app/router.svelte';

test('a panel that is left is gone at once, to where it was opened from', async () => {
  router.go('/queue');
  router.go('/posts/abc');
  expect(router.current).toMatchObject({ page: 'planner', post: 'abc' });
  router.leave('/planner');
  expect(router.current).toEqual({ page: 'queue' });
  await expect.poll(() => location.pathname).toBe('/queue');
});

test('a panel that was opened by its address is left for the planner', () => {
  history.replaceState(null, '', '/posts/abc');
  router.leave('/planner/week/2026-11-23');
  expect(router.current).toMatchObject({ page: 'planner', post: null });
  expect(location.pathname).toBe('/planner/week/2026-11-23');
});
