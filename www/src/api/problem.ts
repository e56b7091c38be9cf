// What goes wrong, in one form: the origin's problems (RFC 9457), and what kept an answer from coming.

export interface FieldError {
  /** Its path in the body: `allowed_ips[2]`. */
  readonly field: string;
  readonly message: string;
}

interface Body {
  readonly title?: unknown;
  readonly code?: unknown;
  readonly detail?: unknown;
  readonly errors?: unknown;
}

export class Problem extends Error {
  override readonly name = "Problem";

  constructor(
    /** Stable, for programs and for whoever asks for help. */
    readonly code: string,
    readonly title: string,
    readonly status: number,
    readonly detail?: string,
    readonly errors: readonly FieldError[] = [],
    /** By which the operator finds it in the log. */
    readonly requestId?: string,
  ) {
    super(detail ?? title);
  }

  /** Whether asking again may help. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status === 502 || this.status === 503;
  }

  /** Whether what was asked for may have been done: there was no answer of the origin's, but perhaps a proxy's. */
  get lost(): boolean {
    return this.code === "unreachable" || this.code.startsWith("http_5");
  }

  /** The message for a field, also for one of its elements. */
  of(field: string): string | undefined {
    return this.errors.find((error) => error.field === field || error.field.startsWith(`${field}[`))?.message;
  }

  static unreachable(): Problem {
    return new Problem("unreachable", "The origin can't be reached", 0, "The network failed before there was an answer.");
  }

  static async from(response: Response): Promise<Problem> {
    const id = response.headers.get("x-request-id") ?? undefined;
    try {
      const body = (await response.json()) as Body;
      if (typeof body.code === "string" && typeof body.title === "string") {
        const detail = typeof body.detail === "string" ? body.detail : undefined;
        return new Problem(body.code, body.title, response.status, detail, (body.errors ?? []) as FieldError[], id);
      }
    } catch {
      // Not the origin's: a proxy's, say.
    }
    return new Problem(`http_${response.status}`, `The answer was ${response.status}`, response.status, undefined, [], id);
  }
}

/** Whatever was thrown, as a problem. */
export function problem(cause: unknown): Problem {
  if (cause instanceof Problem) return cause;
  return new Problem("page_fault", "Something in this page went wrong", 0, cause instanceof Error ? cause.message : String(cause));
}
