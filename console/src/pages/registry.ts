import { page as alerts } from "./alerts/page";
import { page as assets } from "./assets/page";
import { page as compliance } from "./compliance/page";
import { page as audit } from "./audit/page";
import { page as connectors } from "./connectors/page";
import { page as jobs } from "./jobs/page";
import { page as identities } from "./identities/page";
import { page as exposure } from "./exposure/page";
import { page as intelligence } from "./intelligence/page";
import { page as risk } from "./risk/page";
import { page as notifications } from "./notifications/page";
import { page as playbooks } from "./playbooks/page";
import { page as reports } from "./reports/page";
import { page as privacy } from "./privacy/page";
import { page as incidents } from "./incidents/page";
import { page as overview } from "./overview/page";
import type { Page } from "./page";
import { page as rules } from "./rules/page";
import { page as search } from "./search/page";
import { page as settings } from "./settings/page";
import { page as sources } from "./sources/page";
import { page as tenants } from "./tenants/page";

/** Every page, in the order of the rail: one line for each. */
export const pages: Page[] = [
  overview,
  alerts,
  incidents,
  search,
  rules,
  assets,
  identities,
  exposure,
  intelligence,
  risk,
  compliance,
  audit,
  connectors,
  notifications,
  playbooks,
  reports,
  privacy,
  sources,
  jobs,
  tenants,
  settings,
];
