// The dashboard: reads, never writes. One page, from the head (is all well?) to the details.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { token } from "./api";
import { clock, count } from "./format";
import { Groups } from "./groups";
import { History } from "./history";
import { kNothing, Live, type View } from "./live";
import { Nodes } from "./nodes";
import { Pools } from "./pools";
import "./style.css";

function Login({ why, enter }: { why: string; enter: () => void }) {
  const [wrong, set_wrong] = useState(why);
  function submit(event: SubmitEvent) {
    event.preventDefault();
    const field = (event.currentTarget as HTMLFormElement).elements.namedItem("token") as HTMLInputElement;
    const given = field.value.trim();
    if (!/^[\x21-\x7e]+$/.test(given)) return set_wrong("A token is one word of ASCII characters.");
    token.set(given);
    enter();
  }
  return (
    <main class="login">
      <h1>cenote</h1>
      <form onSubmit={submit}>
        <label for="token">Token</label>
        <input
          id="token"
          name="token"
          type="password"
          autocomplete="off"
          required
          aria-describedby="token-help"
        />
        <p id="token-help" class="dim">
          One with the role viewer is enough. This tab alone keeps it, until it is closed.
        </p>
        {wrong && (
          <p class="bad" role="alert">
            {wrong}
          </p>
        )}
        <button type="submit">Show the cluster</button>
      </form>
    </main>
  );
}

function Head({ view, leave }: { view: View; leave: () => void }) {
  const nodes = view.snapshot?.nodes ?? [];
  const up = nodes.filter((node) => node.state === "up").length;
  return (
    <header class="top">
      <h1>
        cenote <span class="dim">{view.snapshot?.cluster}</span>
      </h1>
      <p role="status" id="health" class={up < nodes.length ? "bad" : ""}>
        {view.snapshot ? `${count(up)} of ${count(nodes.length)} nodes up` : "asking the coordinator …"}
      </p>
      {token.get() && (
        <button type="button" onClick={leave}>
          Forget the token
        </button>
      )}
    </header>
  );
}

function App() {
  const [session, set_session] = useState(0);
  const [view, set_view] = useState<View>(kNothing);
  useEffect(() => {
    set_view(kNothing);
    const live = new Live(set_view);
    live.start();
    return () => live.end();
  }, [session]);
  const enter = () => set_session(session + 1);
  if (view.locked !== null) return <Login key={session} why={view.locked} enter={enter} />;
  const leave = () => {
    token.forget();
    enter();
  };
  return (
    <>
      <Head view={view} leave={leave} />
      <main>
        {view.lost && (
          <p class="alert" role="alert">
            The coordinator cannot be asked since {clock(view.lost.since)}: {view.lost.why}. What stands here
            is what was last heard; nodes and clients go on without it.
          </p>
        )}
        {view.snapshot && <Nodes snapshot={view.snapshot} />}
        {view.snapshot && <Pools snapshot={view.snapshot} />}
        {view.summary && <Groups summary={view.summary} samples={view.samples} />}
        {view.summary && <History summary={view.summary} />}
      </main>
    </>
  );
}

const place = document.getElementById("app");
if (place) render(<App />, place);
