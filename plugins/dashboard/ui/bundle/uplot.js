// uPlot is published as a readable module and as a small script; this is the small module.
export { default } from "uplot";
