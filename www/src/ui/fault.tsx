// What went wrong, honestly: in words, with the code to ask about, and whether to try again.
import { problem } from "../api/problem";

export function Fault({ cause, retry }: { cause: unknown; retry?: () => void }) {
  const fault = problem(cause);
  return (
    <div class="notice" data-tone={fault.passing ? "warn" : "bad"} role="alert">
      <strong>{fault.title}</strong>
      {fault.detail && <p>{fault.detail}</p>}
      {fault.errors.length > 0 && (
        <ul>
          {fault.errors.map(({ field, message }) => (
            <li key={field}>
              <code>{field}</code>: {message}
            </li>
          ))}
        </ul>
      )}
      <p class="faint small">
        <code>{fault.code}</code>
        {fault.requestId && (
          <>
            {" "}
            · request <code>{fault.requestId}</code>
          </>
        )}
      </p>
      {retry && (
        <div>
          <button type="button" class="button small" onClick={retry}>
            Try again
          </button>
        </div>
      )}
    </div>
  );
}
