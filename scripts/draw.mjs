// Draw the Graphviz source on standard input; print SVG, or the mistakes in the source and fail.
import { text } from "node:stream/consumers";
import { instance } from "@viz-js/viz";

// Without fonts to measure, Graphviz goes by built-in widths. DejaVu Sans is wider than what readers
// see, so that no text leaves its box.
const font = { fontname: "DejaVu Sans", fontsize: 14 };
const viz = await instance();
const drawn = viz.render(await text(process.stdin), {
  format: "svg",
  graphAttributes: { ...font, labeljust: "l", bgcolor: "transparent", nodesep: 0.3, ranksep: 0.4 },
  nodeAttributes: { ...font, shape: "box" },
  edgeAttributes: { ...font, arrowsize: 0.8 },
});
// A warning fails too: Graphviz draws an unknown color black and goes on. That it guesses the width
// of an accented letter or an arrow is all right.
const mistakes = drawn.errors.map((error) => error.message).filter((text) => !text.includes("non-ASCII character"));
if (mistakes.length) {
  console.error(mistakes.join("\n"));
  process.exitCode = 1;
} else {
  process.stdout.write(drawn.output);
}
