"""Studies: many runs of one experiment, measured by onnxdup's command line, as tables, figures and a page.

A `Study` (`training.study.base`) says what a cell measures and what its page shows; its TOML file beside it
in ``training/studies/`` says which runs there are. The rest is shared: `settings` reads the file, `cells`
multiplies the grid out, `lab` trains and exports each run once per folder, `tool` calls onnxdup, `runner`
does the cells that are not done yet, here or on Dask, `tables` writes CSV, `page` and `figures` the rest.
"""
