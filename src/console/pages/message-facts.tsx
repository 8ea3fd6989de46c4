// What the checks found, grouped by check: the sentence for people and the fact for rules.
import type { FactValue, Finding } from "../../rules/fact.ts";
import { Foreign } from "../parts/foreign-text.tsx";
import { Card } from "../parts/page-header.tsx";
import { counted } from "../words/amount.ts";
import { checkInWords } from "../words/known-names.ts";

function valueInWords(value: FactValue): string {
  if (typeof value === "string") return value === "" ? "(empty)" : value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return value.length === 0 ? "(none)" : value.join(", ");
}

/** A failed check and a found threat should catch the eye; everything else is quiet. */
function toneOf({ fact, value }: Finding): string {
  if (fact === "identity.found") return "plain";
  if ((fact.endsWith(".failed") || fact.endsWith(".found")) && value === true) return "bad";
  if (fact.endsWith(".result"))
    return value === "pass" ? "good" : value === "fail" || value === "permerror" ? "bad" : "plain";
  return "plain";
}

export function FactsTable({ findings }: { readonly findings: readonly Finding[] }) {
  if (findings.length === 0) return null;
  const groups = Map.groupBy(findings, (finding) => finding.check);
  return (
    <Card
      title="Facts"
      flush
      aside={<span class="muted">{counted(findings.length, "fact")} that rules can look at</span>}
    >
      <table class="facts">
        <caption class="visually-hidden">What the checks found</caption>
        <thead class="visually-hidden">
          <tr>
            <th scope="col">Fact</th>
            <th scope="col">Value</th>
            <th scope="col">In words</th>
          </tr>
        </thead>
        {[...groups].map(([check, found]) => (
          <tbody>
            <tr class="facts-group">
              <th colspan={3} scope="colgroup">
                {checkInWords(check)}
              </th>
            </tr>
            {found.map((finding) => (
              <tr>
                <td class="mono fact-name">{finding.fact}</td>
                <td class={`fact-value value-${toneOf(finding)}`}>
                  <Foreign text={valueInWords(finding.value)} max={200} />
                </td>
                <td class="fact-words">
                  <Foreign text={finding.words ?? ""} max={300} />
                </td>
              </tr>
            ))}
          </tbody>
        ))}
      </table>
    </Card>
  );
}
