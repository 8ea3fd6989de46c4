// A field for a new password with its strength told while typing (by htmx; without script the answer comes on saving).
import type { PasswordStrength } from "../../policy/password-strength.ts";

function firstUpper(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function PasswordResult({ strength }: { readonly strength: PasswordStrength | null }) {
  if (strength === null) return null;
  return (
    <>
      <meter
        min={0}
        max={4}
        low={2}
        high={3}
        optimum={4}
        value={Math.max(strength.score, 0.3)}
        aria-label="Strength"
      />
      <span class={strength.ok ? "meter-words" : "meter-words weak"}>
        {firstUpper(strength.words.replace(/^is /, ""))}.
      </span>
    </>
  );
}

export function PasswordMeter(props: {
  readonly id: string;
  readonly name: string;
  readonly invalid: boolean;
  readonly required?: boolean;
  readonly describedBy?: string | undefined;
  /** Where its strength is judged, for pages before log-in. */
  readonly judgedAt?: string;
}) {
  const described = [props.describedBy ?? (props.invalid ? `${props.id}-error` : ""), `${props.id}-meter`];
  return (
    <>
      <input
        id={props.id}
        name={props.name}
        type="password"
        autocomplete="new-password"
        required={props.required ?? true}
        aria-invalid={props.invalid ? "true" : undefined}
        aria-describedby={described.join(" ").trim()}
        hx-post={props.judgedAt ?? "/password-strength"}
        hx-trigger="input changed delay:350ms"
        hx-target={`#${props.id}-meter`}
        hx-sync="this:replace"
      />
      <div class="meter" id={`${props.id}-meter`} aria-live="polite" />
    </>
  );
}
