/** Somebody of the tenant, as GET /users tells. */
export type Person = {
  id: string;
  email: string;
  name: string;
  role: "Admin" | "Analyst" | "Viewer" | "Auditor";
  status: "invited" | "active" | "disabled";
  secondFactor: boolean;
  sessions: number;
  createdAt: string;
  createdBy: string;
  lastSignInAt: string | null;
};

export type OpenSession = { id: string; current: boolean; method: "password" | "passkey" | "sso"; secondFactor: boolean; address: string; agent: string; createdAt: string; lastUsedAt: string; endsAt: string };
export type Safety = { passwordChangedAt: string | null; secondFactor: boolean; passkeys: number; recoveryCodesLeft: number; secondFactorRequired: boolean };
export type Policy = { secondFactorRequired: boolean; idleMinutes: number; longestHours: number; passwordHistory: number; passwordKinds: boolean; lockAttempts: number; lockMinutes: number };
/** A link that was made for somebody: sent by mail, or to hand over. */
export type Handed = { link: string; sent: boolean; unsent: string };
