"""The workbench: a page in the browser that shows data and models, moves parameters, and fits (`pdfkit live`).

`state` holds what the page shows as a value, a recipe with numbers; `actions` are pure functions of it; `prepared`
turns it into curves; `session` keeps one page's states, fits and files; `page` puts them into Bokeh's models; `server`
hands pages out, on this machine only; `notebook` is `pk.live`. No physics is in here.
"""
