// The versions of a scope's configuration, who made them, how far the newest got, and what differs between two.
import { useEffect, useState } from "preact/hooks";
import { get, type Rollout, type Summary, type Version } from "./api";
import { count, time } from "./format";
import { type Column, Head } from "./table";

const kColumns: readonly Column[] = [
  ["Version", "number"],
  ["When"],
  ["What"],
  ["Who", "wide"],
  ["Why", "wide"],
  ["Changes", "unseen"],
];

const kActions: Record<string, string> = {
  "config.put": "written",
  "config.rollback": "rolled back",
  "config.auto_rollback": "rolled back by itself",
};

// What GET gives, asked again when the path or `again` changes; the old answer stays until the new one is there.
function useAnswer<T>(path: string | null, again: string): { answer: T | null; error: string } {
  const [state, set_state] = useState<{ answer: T | null; error: string }>({ answer: null, error: "" });
  useEffect(() => {
    if (path === null) return set_state({ answer: null, error: "" });
    const stop = new AbortController();
    get<T>(path, stop.signal).then(
      (answer) => set_state({ answer, error: "" }),
      (error: Error) => {
        if (!stop.signal.aborted) set_state({ answer: null, error: error.message });
      },
    );
    return () => stop.abort();
  }, [path, again]);
  return state;
}

function Diff({ scope, from, to }: { scope: string; from: number; to: number }) {
  const path = `/v1/config/${scope}/diff?from=${from}&to=${to}`;
  const { answer, error } = useAnswer<{ diff: string }>(path, "");
  if (error) return <p class="bad">{error}</p>;
  if (!answer) return null;
  if (answer.diff === "") return <p class="dim">The two are the same.</p>;
  const kinds: Record<string, string> = { "+": "added", "-": "removed", "@": "dim" };
  return (
    <section class="scroll" aria-label={`Difference from version ${from} to ${to}`}>
      <pre>
        {answer.diff
          .trimEnd()
          .split("\n")
          .map((line, i) => (
            <span key={i} class={kinds[line.charAt(0)] ?? ""}>
              {line}
              {"\n"}
            </span>
          ))}
      </pre>
    </section>
  );
}

function Progress({ scope, again }: { scope: string; again: string }) {
  const { answer } = useAnswer<Rollout>(`/v1/rollouts/${scope}`, again);
  if (!answer) return null;
  const nodes = Object.entries(answer.nodes);
  const refused = nodes.filter(([, said]) => said.startsWith("rejected"));
  const applied = nodes.filter(([, said]) => said === "applied").length;
  return (
    <p class={refused.length > 0 || answer.stage === "rolled_back" ? "bad" : ""}>
      Roll-out of version {answer.version}: {answer.stage.replace("_", " ")}, applied by {count(applied)} of{" "}
      {count(nodes.length)} nodes
      {answer.reason && `; ${answer.reason}`}
      {refused.map(([node, said]) => `; ${node} ${said}`)}
    </p>
  );
}

function Choice({
  label,
  value,
  versions,
  set,
}: {
  label: string;
  value: number;
  versions: number[];
  set: (version: number) => void;
}) {
  return (
    <label>
      <span>{label}</span>
      <select value={value} onChange={(event) => set(Number(event.currentTarget.value))}>
        {versions.map((version) => (
          <option key={version} value={version}>
            {version === 0 ? "nothing" : version}
          </option>
        ))}
      </select>
    </label>
  );
}

function Scope({ scope, again }: { scope: string; again: string }) {
  const { answer, error } = useAnswer<{ versions: Version[] }>(`/v1/config/${scope}/history`, again);
  const [pair, set_pair] = useState<[number, number] | null>(null);
  if (error) return <p class="bad">{error}</p>;
  const newest = answer?.versions[0];
  if (!answer || !newest) return null;
  const [from, to] = pair ?? [newest.previous, newest.version];
  const numbers = answer.versions.map((each) => each.version);
  return (
    <>
      <Progress scope={scope} again={again} />
      <table>
        <Head columns={kColumns} />
        <tbody>
          {answer.versions.map((each) => (
            <tr key={each.version} data-version={each.version}>
              <th scope="row" class="number">
                {each.version}
              </th>
              <td>{time(each.at)}</td>
              <td>{kActions[each.action] ?? each.action}</td>
              <td class="wide">{each.who || "–"}</td>
              <td class="wide">{each.reason || "–"}</td>
              <td>
                <button
                  type="button"
                  aria-label={`Changes of version ${each.version}`}
                  aria-pressed={from === each.previous && to === each.version}
                  onClick={() => set_pair([each.previous, each.version])}
                >
                  Changes
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="choices">
        <Choice label="From version" value={from} versions={[...numbers, 0]} set={(v) => set_pair([v, to])} />
        <Choice label="to" value={to} versions={numbers} set={(v) => set_pair([from, v])} />
      </p>
      <Diff scope={scope} from={from} to={to} />
    </>
  );
}

export function History({ summary }: { summary: Summary }) {
  const scopes = summary.config_sync.scopes;
  const names = Object.keys(scopes).sort();
  const [chosen, set_chosen] = useState("");
  const scope = names.includes(chosen) ? chosen : (names[0] ?? "");
  return (
    <section aria-labelledby="history">
      <header>
        <h2 id="history">Configuration history</h2>
        {names.length > 1 && (
          <label>
            <span>Scope</span>
            <select value={scope} onChange={(event) => set_chosen(event.currentTarget.value)}>
              {names.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
        )}
      </header>
      {scope === "" ? (
        <p class="dim">
          No configuration has been written yet: PUT /v1/config/default makes the first version.
        </p>
      ) : (
        <Scope key={scope} scope={scope} again={`${scopes[scope]?.version} ${scopes[scope]?.stage}`} />
      )}
    </section>
  );
}
