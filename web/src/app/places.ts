// The pages that have a link, in the order in which they stand. `rare` ones are the operator's:
// behind "More" where there is little room; `seldom` ones only where there is least.

import { t } from './i18n';

export const placesOf = () =>
  [
    { page: 'planner', href: '/planner', label: t('nav.planner'), rare: false },
    { page: 'campaigns', href: '/campaigns', label: t('nav.campaigns'), rare: 'seldom' },
    { page: 'reviews', href: '/reviews', label: t('nav.reviews'), rare: false },
    { page: 'connections', href: '/connections', label: t('nav.connections'), rare: false },
    { page: 'media', href: '/media', label: t('nav.media'), rare: 'seldom' },
    { page: 'transfer', href: '/transfer', label: t('nav.transfer'), rare: 'more' },
    { page: 'queue', href: '/queue', label: t('nav.queue'), rare: true },
    { page: 'dead-letters', href: '/dead-letters', label: t('nav.deadLetters'), rare: true },
    { page: 'apps', href: '/apps', label: t('nav.apps'), rare: 'more' },
    { page: 'trash', href: '/trash', label: t('nav.trash'), rare: 'more' },
    { page: 'audit', href: '/audit', label: t('nav.audit'), rare: 'more' },
  ] as const;
