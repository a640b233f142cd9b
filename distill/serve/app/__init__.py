"""The app in the browser: a thin layer of gradio over the functions of `distill.serve`, and its server."""
