/** What the server said was wrong, or that it could not be reached. */
export class Problem extends Error {
  /** HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** One line that names the fault, such as "Invalid severity value". */
  readonly title: string;
  /** What is allowed, or what to do. */
  readonly remedy: string;
  /** X-Request-Id of the answer, for the server's log; "" without one. */
  readonly requestId: string;
  /** A machine-readable code where the server gives one, such as "codeRequired". */
  readonly code: string;
  /** Seconds to wait where the server says so; 0 otherwise. */
  readonly retryAfter: number;
  /** The call as a curl command. */
  readonly curl: string;

  constructor(p: { status: number; title: string; remedy: string; requestId?: string; code?: string; retryAfter?: number; curl?: string }) {
    super(`${p.title}: ${p.remedy}`);
    this.name = "Problem";
    this.status = p.status;
    this.title = p.title;
    this.remedy = p.remedy;
    this.requestId = p.requestId ?? "";
    this.code = p.code ?? "";
    this.retryAfter = p.retryAfter ?? 0;
    this.curl = p.curl ?? "";
  }
}

/** Reads the body of an error answer, whatever stands in it. */
export function problemOf(response: Response, body: unknown, curl: string): Problem {
  const b = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
  const text = (v: unknown) => (typeof v === "string" ? v : "");
  return new Problem({
    status: response.status,
    title: text(b.error) || response.statusText || `HTTP ${response.status}`,
    remedy: text(b.message),
    code: text(b.code),
    requestId: response.headers.get("X-Request-Id") ?? "",
    retryAfter: Number(response.headers.get("Retry-After")) || 0,
    curl,
  });
}
