# The course in a few commands. Everything happens in .venv, which install.sh makes and keeps.
.PHONY: help lab test check notebooks edit bench bench-feedback format lock clean install

python = .venv/bin/python

help:
	@echo "make lab        open the course in JupyterLab (the first time this also sets it up)"
	@echo "make test       check everything: library, notebooks, exercises, explorers"
	@echo
	@echo "For those who write the course:"
	@echo "make check      the part of make test that takes a few minutes, for while you work"
	@echo "make edit       JupyterLab in which a change to a notebook is also written to its source"
	@echo "make notebooks  build the notebooks from the sources in authoring/"
	@echo "make format     format the code and the sources of the notebooks"
	@echo "make bench      compare speed and memory with what they should be"
	@echo "make bench-feedback  what the checks say to a bank of right and wrong answers"
	@echo "make lock       move requirements.lock to the newest versions"
	@echo "make clean      delete .venv and what tools have left behind"
	@echo
	@echo "Choices: make lab TORCH_BACKEND=cpu         a small install on Linux, no NVIDIA card"
	@echo "         make lab PYTHON=/path/to/python    the Python that .venv is made with"
	@echo "         make lab LAB_ARGS=--no-browser     anything that jupyter lab takes"

install:
	@./install.sh

# Starts at the first lesson. Root, as in a container, must be allowed explicitly.
jupyterlab = $(python) -m jupyterlab --ServerApp.root_dir=. \
	--LabApp.default_url=/lab/tree/lessons/00_start_here.ipynb \
	`[ "$$(id -u)" != 0 ] || echo --allow-root`

# Without jupytext, which would write what a learner does into authoring/.
lab: install
	@$(jupyterlab) --ServerApp.jpserver_extensions jupyterlab_jupytext=False $(LAB_ARGS)

edit: install
	@$(jupyterlab) $(LAB_ARGS)

# Every step runs, also after one has failed. One thread each: two processes work side by side. Files are
# handed out in the order of the words below, so that the longest come first and the two end together.
sources = resnet_edu authoring tests benchmarks
pytest = $(python) -m pytest -n 2 -p no:cacheprovider
steps = failed=""; export OMP_NUM_THREADS=1; \
	step() { name=$$1; shift; printf '\n%s\n' "$$name"; "$$@" || failed="$$failed $$name;"; }; \
	step "Style" $(python) -m ruff check $(sources); \
	step "Format" $(python) -m ruff format --check $(sources)
ended = [ -z "$$failed" ] || { printf '\nFailed:%s\n' "$$failed"; exit 1; }

test: install
	@$(steps); \
	step "Lessons, solutions, library and exercises" $(pytest) -m "not browser" --dist loadfile \
		--no-loadscope-reorder --nbval --nbval-current-env --nbval-cell-timeout=600 \
		lessons solutions tests; \
	step "Explorers in a browser" $(pytest) -m browser --dist worksteal tests; \
	[ "$$CI" = true ] || PYTHONPATH=tests/browser $(python) -c "import lab; \
	lab.find_chromium() or print('\nLeft out: the explorers in a browser.', lab.CHROMIUM_HINT)"; \
	$(ended)

check: install
	@$(steps); \
	step "Library, and notebooks against their sources" $(pytest) --dist worksteal \
		-m "not (slow or browser or bank)" tests; \
	$(ended)

notebooks: install
	@$(python) authoring/build.py

bench: install
	@$(python) benchmarks/run.py

bench-feedback: install
	@$(python) benchmarks/run.py feedback

format: install
	@$(python) -m ruff check --fix $(sources)
	@$(python) -m ruff format $(sources)

lock: install
	@$(python) -m uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--upgrade --no-emit-index-url --no-annotate -q -o requirements.lock

clean:
	rm -rf .venv .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
