// Rules as check boxes, for domains and senders.
import type { Policy } from "../../policy/schema.ts";
import { SHIPPED_RULES, shippedRule } from "../../rules/shipped-rules.ts";
import type { Option } from "../forms/field.ts";

/** The rules one can switch on by name: shipped ones (but those that always hold) and own ones. */
export function ruleChoices(policy: Policy): readonly Option[] {
  const shipped = SHIPPED_RULES.filter((rule) => rule.switchedOn !== "always").map((rule) => ({
    value: rule.name,
    label: rule.name,
    help: rule.description,
  }));
  const own = policy.rule
    .filter((rule) => shippedRule(rule.name) === null)
    .map((rule) => ({
      value: rule.name,
      label: rule.name,
      help: rule.description === "" ? "Your own rule" : rule.description,
    }));
  return [...shipped, ...own];
}
