// Server-sent events out of the pieces of a body. EventSource would do this too, but it cannot send a token.
export interface SseEvent {
  event: string;
  data: string;
}

export class SseParser {
  private rest = "";
  private event = "";
  private data: string[] = [];

  // The events that this piece completes. Lines end with \n here: the coordinator sends nothing else.
  feed(piece: string): SseEvent[] {
    const events: SseEvent[] = [];
    const lines = (this.rest + piece).split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (this.data.length > 0) events.push({ event: this.event || "message", data: this.data.join("\n") });
        this.event = "";
        this.data = [];
      } else if (line.startsWith("event: ")) {
        this.event = line.slice(7);
      } else if (line.startsWith("data: ")) {
        this.data.push(line.slice(6));
      }
    }
    return events;
  }
}
