// A form over policy fields: groups, labels, help, what is wrong beside each field and a summary above. Works without script.
import type { Child } from "hono/jsx";
import type { PolicyProblem } from "../../policy/settings.ts";
import { Icon } from "../parts/icon.tsx";
import { Notice } from "../parts/notice.tsx";
import { PasswordMeter } from "../parts/password-meter.tsx";
import { type Field, type FieldGroup, fieldId, fieldsOf, type LineField, MORE_ROWS } from "./field.ts";
import { fieldFor, lineOfProblem, rowCount } from "./form-input.ts";
import { SHOWN, shownValues } from "./shown-values.ts";

export interface PolicyFormProps {
  readonly action: string;
  readonly groups: readonly FieldGroup[];
  readonly form: URLSearchParams;
  readonly problems: readonly PolicyProblem[];
  readonly submit: string;
  readonly cancel?: string;
  /** Fields that may not change any more (the key of a stored item). */
  readonly fixed?: readonly string[];
  /** A second button that saves too; its name and value are sent along. */
  readonly second?: { readonly name: string; readonly value: string; readonly label: string };
  readonly children?: Child;
}

interface FieldState {
  readonly form: URLSearchParams;
  /** Messages by control name. */
  readonly errors: ReadonlyMap<string, readonly string[]>;
  readonly fixed: ReadonlySet<string>;
}

/** Problems by the control they belong to; "" holds those that belong to none. */
function errorsByField(
  groups: readonly FieldGroup[],
  problems: readonly PolicyProblem[],
): ReadonlyMap<string, readonly string[]> {
  const errors = new Map<string, string[]>();
  for (const { path, message } of problems) {
    const name = fieldFor(groups, path) ?? "";
    const words = name === "" ? `${path} ${message}`.trim() : lineOfProblem(name, path) + message;
    errors.set(name, [...(errors.get(name) ?? []), words]);
  }
  return errors;
}

function labelOf(groups: readonly FieldGroup[], name: string): string {
  for (const field of fieldsOf(groups)) {
    if (field.name === name) return field.label;
    if (field.kind !== "rows" || !name.startsWith(`${field.name}[`)) continue;
    const [, row = "", column = ""] = /\[(\d+)\]\.(.+)$/.exec(name) ?? [];
    const label = field.columns.find((one) => one.name === column)?.label ?? column;
    return `${field.label}, row ${Number(row) + 1}, ${label.toLowerCase()}`;
  }
  return name;
}

/** What must be put right, above the form; each entry leads to its field. */
function ProblemSummary(props: {
  readonly groups: readonly FieldGroup[];
  readonly problems: readonly PolicyProblem[];
}) {
  if (props.problems.length === 0) return null;
  const errors = errorsByField(props.groups, props.problems);
  return (
    <Notice tone="bad" title="Nothing was saved yet. Please put these right:">
      <ul>
        {[...errors].flatMap(([name, messages]) =>
          messages.map((message) => (
            <li>
              {name === "" ? message : <a href={`#${fieldId(name)}`}>{labelOf(props.groups, name)}</a>}
              {name === "" ? "" : `: ${message}`}
            </li>
          )),
        )}
      </ul>
    </Notice>
  );
}

function described(
  name: string,
  field: { readonly help?: string },
  errors: readonly string[],
): string | undefined {
  const ids = [errors.length > 0 ? `${fieldId(name)}-error` : "", field.help ? `${fieldId(name)}-help` : ""];
  return ids.filter((id) => id !== "").join(" ") || undefined;
}

function Beside(props: {
  readonly name: string;
  readonly help?: string | undefined;
  readonly errors: readonly string[];
}) {
  const id = fieldId(props.name);
  return (
    <>
      {props.errors.length > 0 && (
        <span class="field-error" id={`${id}-error`}>
          {props.errors.join("; ")}
        </span>
      )}
      {props.help && (
        <span class="field-help" id={`${id}-help`}>
          {props.help}
        </span>
      )}
    </>
  );
}

function LineControl(props: {
  readonly field: LineField;
  readonly name: string;
  readonly state: FieldState;
}) {
  const { field, name, state } = props;
  const errors = state.errors.get(name) ?? [];
  const shared = {
    id: fieldId(name),
    name,
    "aria-invalid": errors.length > 0 ? "true" : undefined,
    "aria-describedby": described(name, field, errors),
  };
  const value = state.form.get(name) ?? "";
  switch (field.kind) {
    case "choice":
      return (
        <select {...shared}>
          {field.options.map((option) => (
            <option value={option.value} selected={option.value === value}>
              {option.label}
            </option>
          ))}
        </select>
      );
    case "password":
      if (field.meter === true)
        return (
          <PasswordMeter
            id={fieldId(name)}
            name={name}
            invalid={errors.length > 0}
            required={false}
            describedBy={shared["aria-describedby"]}
          />
        );
      return (
        <input {...shared} type="password" autocomplete="new-password" placeholder={field.placeholder} />
      );
    case "number":
      return (
        <span class="with-unit">
          <input {...shared} type="text" inputmode="numeric" value={value} placeholder={field.placeholder} />
          {field.unit && <span class="unit">{field.unit}</span>}
        </span>
      );
    case "text":
    case "duration":
    case "size":
      return (
        <input
          {...shared}
          type="text"
          value={value}
          placeholder={field.placeholder}
          readonly={state.fixed.has(name)}
          autocomplete="off"
          spellcheck={false}
          class={field.kind === "text" ? undefined : "short"}
        />
      );
  }
}

function Rows({
  field,
  state,
}: {
  readonly field: Extract<Field, { kind: "rows" }>;
  readonly state: FieldState;
}) {
  const rows = Math.max(1, rowCount(state.form, field.name));
  const errors = state.errors.get(field.name) ?? [];
  return (
    <fieldset class="field rows-field" id={fieldId(field.name)}>
      <legend>{field.label}</legend>
      <Beside name={field.name} help={field.help} errors={errors} />
      {Array.from({ length: rows }, (_, i) => (
        <div class="row-fields">
          {field.columns.map((column) => {
            const name = `${field.name}[${i}].${column.name}`;
            return (
              <div class={`row-field row-${column.kind}`}>
                <label for={fieldId(name)}>{column.label}</label>
                <LineControl field={column} name={name} state={state} />
                <Beside name={name} errors={state.errors.get(name) ?? []} />
              </div>
            );
          })}
        </div>
      ))}
      <button type="submit" class="button quiet" name={MORE_ROWS} value={field.name} formnovalidate>
        {field.add}
      </button>
    </fieldset>
  );
}

function Choices({
  field,
  state,
}: {
  readonly field: Extract<Field, { kind: "choices" }>;
  readonly state: FieldState;
}) {
  const chosen = state.form.getAll(field.name);
  const errors = state.errors.get(field.name) ?? [];
  return (
    <fieldset class="field" id={fieldId(field.name)} aria-describedby={described(field.name, field, errors)}>
      <legend>{field.label}</legend>
      <Beside name={field.name} help={field.help} errors={errors} />
      <div class="choices">
        {field.options.map((option) => (
          <label class="check">
            <input
              type="checkbox"
              name={field.name}
              value={option.value}
              checked={chosen.includes(option.value)}
            />
            <span>
              {option.label}
              {option.help && <small>{option.help}</small>}
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function Switch({
  field,
  state,
}: {
  readonly field: Extract<Field, { kind: "switch" }>;
  readonly state: FieldState;
}) {
  const errors = state.errors.get(field.name) ?? [];
  const id = fieldId(field.name);
  return (
    <div class="field">
      <label class="check switch">
        <input
          type="checkbox"
          id={id}
          name={field.name}
          checked={state.form.get(field.name) === "on"}
          aria-describedby={described(field.name, field, errors)}
        />
        <span>{field.label}</span>
      </label>
      <Beside name={field.name} help={field.help} errors={errors} />
      {field.warning !== undefined && (
        <div class="notice tone-warn switch-warning" role="note">
          <Icon name="warn" size={18} />
          <div class="notice-words">{field.warning}</div>
        </div>
      )}
    </div>
  );
}

function FieldView({ field, state }: { readonly field: Field; readonly state: FieldState }) {
  switch (field.kind) {
    case "rows":
      return <Rows field={field} state={state} />;
    case "choices":
      return <Choices field={field} state={state} />;
    case "switch":
      return <Switch field={field} state={state} />;
    default:
      return <SingleField field={field} state={state} />;
  }
}

type SingleFieldKind = Exclude<Field, { kind: "rows" | "choices" | "switch" }>;

function SingleField({ field, state }: { readonly field: SingleFieldKind; readonly state: FieldState }) {
  const errors = state.errors.get(field.name) ?? [];
  const id = fieldId(field.name);
  return (
    <div class={errors.length > 0 ? "field invalid" : "field"}>
      <label for={id}>{field.label}</label>
      {field.kind === "lines" || field.kind === "area" ? (
        <textarea
          id={id}
          name={field.name}
          rows={field.rows ?? 3}
          placeholder={field.placeholder}
          spellcheck={false}
          aria-invalid={errors.length > 0 ? "true" : undefined}
          aria-describedby={described(field.name, field, errors)}
        >
          {state.form.get(field.name) ?? ""}
        </textarea>
      ) : (
        <LineControl field={field} name={field.name} state={state} />
      )}
      <Beside name={field.name} help={field.help} errors={errors} />
    </div>
  );
}

function Group(props: { readonly group: FieldGroup; readonly state: FieldState; readonly broken: boolean }) {
  const { group, state } = props;
  const body = (
    <div class={group.columns === true ? "group-fields in-columns" : "group-fields"}>
      {group.fields.map((field) => (
        <FieldView field={field} state={state} />
      ))}
    </div>
  );
  if (group.folded !== true)
    return (
      <section class="field-group">
        <div class="group-head">
          <h2>{group.title}</h2>
          {group.help && <p>{group.help}</p>}
        </div>
        {body}
      </section>
    );
  return (
    <details class="field-group folded" open={props.broken}>
      <summary>
        <span class="group-title">{group.title}</span>
        <span class={group.summary === undefined ? "group-help" : "group-help group-set"}>
          {group.summary ?? group.help}
        </span>
      </summary>
      <div class="folded-body">
        {group.help !== undefined && group.summary !== undefined && <p class="group-help">{group.help}.</p>}
        {body}
      </div>
    </details>
  );
}

/** Of a form that comes back: what it was filled with before somebody typed. */
function shownBy({ groups, form }: PolicyFormProps): string {
  return form.get(SHOWN) ?? shownValues(groups, form);
}

/** The whole form. What was typed stays, except passwords. */
export function PolicyForm(props: PolicyFormProps) {
  const errors = errorsByField(props.groups, props.problems);
  const state: FieldState = { form: props.form, errors, fixed: new Set(props.fixed ?? []) };
  return (
    <>
      <ProblemSummary groups={props.groups} problems={props.problems} />
      <form method="post" action={props.action} class="policy-form" novalidate>
        {/* Enter in a field presses the first button of a form: that must be the one that saves. */}
        <button type="submit" class="default-button" tabindex={-1}>
          {props.submit}
        </button>
        <input type="hidden" name={SHOWN} value={shownBy(props)} />
        {props.groups.map((group) => (
          <Group
            group={group}
            state={state}
            broken={group.fields.some((field) =>
              [...errors.keys()].some((name) => name.startsWith(field.name)),
            )}
          />
        ))}
        {props.children}
        <div class="form-actions">
          <button type="submit">{props.submit}</button>
          {props.second && (
            <button type="submit" class="quiet" name={props.second.name} value={props.second.value}>
              {props.second.label}
            </button>
          )}
          {props.cancel && (
            <a class="button quiet" href={props.cancel}>
              Cancel
            </a>
          )}
        </div>
      </form>
    </>
  );
}
