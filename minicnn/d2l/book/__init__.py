"""``python -m minicnn.d2l``: a chapter of the book, run cell by cell on this engine.

    options.py    the command line
    cells.py      a chapter and its cells; which tab, which frameworks
    markdown.py   the book's Markdown; notebook.py: Jupyter notebooks, read and written
    changes.py    what is changed in a cell before it runs: num_epochs, lines that install packages
    shell.py      IPython, which runs a cell; outputs.py: what the cell shows
    running.py    the cells one after the other; failures.py: where one failed, and why
    report.py     which cells ran, and what stopped the others

IPython and nbformat, which it needs, come with the extra ``book``.
"""
