# The words to remember. Everything is installed into .venv and nothing needs root; make/setup says what is missing.
.PHONY: help demo test lint bench arm clean

help:
	@echo "make demo    label a real LiDAR drive with a real ROS 2 node, and draw it"
	@echo "make test    run every test but the aarch64 group (ARGS=... goes to pytest)"
	@echo "make lint    check style and format"
	@echo "make bench   this engine against torch, onnxruntime and LiteRT on this machine (about 300 MB of downloads)"
	@echo "make arm     aarch64 under emulation: tests, instructions counted, cycles modelled (says which packages it needs)"
	@echo "make clean   remove .venv and everything that was built"

demo:
	@make/setup demo
	@.venv/bin/python demo/run.py $(ARGS)

test:
	@make/setup test
	@.venv/bin/python -m pytest -m "not aarch64" $(ARGS)

lint:
	@make/setup lint
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .

bench:
	@make/setup bench
	@.venv/bin/python benchmarks/versus.py $(ARGS)

arm:
	@make/arm

clean:
	rm -rf .venv build install log *.egg-info .pytest_cache .ruff_cache demo/*.png
	find . -name __pycache__ -prune -exec rm -rf {} +
	find bipointnet_ros -name '*.so' -delete
