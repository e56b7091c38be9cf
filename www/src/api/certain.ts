// What has become of a change whose answer was lost. It isn't guessed: the thing itself says.
import { Problem } from "./problem";

/** Makes a change; where its answer is lost, looks whether it was `done`. */
export async function certainly<T>(change: () => Promise<T>, look: () => Promise<T | undefined>, done: (now: T) => boolean): Promise<T> {
  try {
    return await change();
  } catch (cause) {
    if (!(cause instanceof Problem) || !cause.lost) throw cause;
    let now: T | undefined;
    try {
      now = await look();
    } catch {
      throw unknown("The answer was lost, and the origin can't be asked now.");
    }
    if (now !== undefined && done(now)) return now;
    throw unknown("The answer was lost. So far it doesn't show, but it may still be on its way.");
  }
}

function unknown(detail: string): Problem {
  return new Problem("outcome_unknown", "It isn't known whether this was done", 0, detail);
}
