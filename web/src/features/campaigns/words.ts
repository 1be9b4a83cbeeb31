// What campaigns and series say, which only their pages load.

import { learn } from '../../app/i18n';
import plan from '../../messages/en.plan.json';

learn(plan);
