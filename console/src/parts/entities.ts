/** Where a value is known as something: the pages of assets, identities and so on. */
export type EntityLink = { to: string; query: Record<string, string>; label: "openAsset" | "openIdentity" | "openIndicator" };

const hosts = /^(host|hostname|computer|device|asset|dest_host|src_host|ip|.*_ip)$/i;
const people = /^(user|username|account|target_user|src_user|identity|.*_user|email)$/i;
const signs = /^(domain|url|hash|md5|sha1|sha256|.*_domain|ip|.*_ip|dns_query|query)$/i;

/** What a field's value may be, by the field's name or an entity's type. */
export function entityLinks(field: string, value: string): EntityLink[] {
  const links: EntityLink[] = [];
  if (hosts.test(field)) links.push({ to: "/assets", query: { search: value }, label: "openAsset" });
  if (people.test(field)) links.push({ to: "/identities", query: { search: value }, label: "openIdentity" });
  if (signs.test(field)) links.push({ to: "/intelligence", query: { value }, label: "openIndicator" });
  return links;
}
