// A line chart of the last quarter of an hour; uPlot draws, the legend is ours (text, so that it can be read aloud).
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

export interface Line {
  name: string;
  color: "one" | "two" | "three";
  values: (number | null)[];
}

interface Props {
  title: string;
  unit: string;
  at: number[];
  lines: Line[];
}

const kHeight = 120;

function style(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function options(width: number, lines: Line[]): uPlot.Options {
  const axis = {
    stroke: style("dim"),
    grid: { stroke: style("line"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui",
  };
  return {
    width,
    height: kHeight,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_, __, most) => [0, Math.max(most || 0, 1) * 1.1] } },
    axes: [
      { ...axis, size: 24, space: 80, values: "{HH}:{mm}" },
      { ...axis, size: 44 },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        stroke: style(line.color),
        width: 1.5,
        points: { show: false },
        label: line.name,
      })),
    ],
  };
}

export function Chart({ title, unit, at, lines }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  // Also for a drawing that is made anew, when the night begins.
  const data = useRef<uPlot.AlignedData>([[]]);
  data.current = [at, ...lines.map((line) => line.values)];
  const shape = lines.map((line) => line.name).join();

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(element.clientWidth, lines), [[], ...lines.map(() => [])], element);
      plot.current.setData(data.current);
    };
    draw();
    const night = matchMedia("(prefers-color-scheme: dark)");
    const resized = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height: kHeight }),
    );
    resized.observe(element);
    night.addEventListener("change", draw);
    return () => {
      resized.disconnect();
      night.removeEventListener("change", draw);
      plot.current?.destroy();
    };
  }, [shape]);

  useEffect(() => {
    plot.current?.setData(data.current);
  });

  return (
    <figure>
      <figcaption>
        {title}
        {lines.map((line) => (
          <span key={line.name} class={`key ${line.color}`}>
            {line.name}
          </span>
        ))}
        <span class="dim">{unit}</span>
      </figcaption>
      <div ref={place} class="chart" aria-hidden="true" />
    </figure>
  );
}
