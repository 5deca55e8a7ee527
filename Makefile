# Everything a user or a developer types. Each target sets up what it needs.
#   make demo        the shipped bundle moves a simulated FR3 through real ROS 2 nodes; writes out/demo/report.html
#   make test        lint, types, unit tests, ROS tests, a short end-to-end run
#   make train-demo  record -> train -> export -> evaluate, from nothing; ROBOT=ur5e for the other simulated arm,
#                    ENCODER=spark post-trains the encoder on the same video first, as for the shipped bundle
#   make lint        ruff and mypy alone
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -eu -o pipefail -c
.PHONY: demo test lint train-demo clean

BIN := .venv/bin
OUT ?= out
ROBOT ?= fr3
BUNDLE ?= models/$(ROBOT)_lift
EPISODES ?= 20
DEMOS ?= 60
ENCODER ?= frozen
SEED ?= 0

demo:
	@scripts/bootstrap.sh demo
	$(BIN)/spark-ros eval --bundle $(BUNDLE) --through-ros --episodes $(EPISODES) --seed $(SEED) --videos --out $(OUT)/demo
	if [ -n "$${DISPLAY:-}$${WAYLAND_DISPLAY:-}" ] && command -v xdg-open >/dev/null; then xdg-open $(OUT)/demo/report.html; fi

lint:
	@scripts/bootstrap.sh dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Nodes keep real time: their tests come one after the other, and alone; what fails gets one more chance.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not ros" -n auto --maxprocesses 4 --dist loadfile
	$(BIN)/python -m pytest -m ros

train-demo:
	@scripts/bootstrap.sh dev
	$(BIN)/spark-ros record --through-ros --robot $(ROBOT) --perturb 1 --episodes $(DEMOS) --folder $(OUT)/train-demo/demos
	encoder=()
	if [ "$(ENCODER)" = spark ]; then
		$(BIN)/spark-ros train encoder data.folders="[$(OUT)/train-demo/demos]" out_dir=$(OUT)/train-demo/encoder data.hue=0.5 data.brightness=0.5
		encoder=(encoder="{name: spark, weights: $(OUT)/train-demo/encoder, tokens: bottleneck+patch}")
	fi
	$(BIN)/spark-ros train policy --robot $(ROBOT) data.folder=$(OUT)/train-demo/demos out_dir=$(OUT)/train-demo/run "$${encoder[@]}"
	$(BIN)/spark-ros export --run $(OUT)/train-demo/run --out $(OUT)/train-demo/bundle
	$(BIN)/spark-ros eval --bundle $(OUT)/train-demo/bundle --episodes 30 --seed $(SEED) --videos --out $(OUT)/train-demo/eval

clean:
	rm -rf $(OUT) build dist *.egg-info spark_ros/*/*.so spark_ros/compiled.json .venv/.installed-*
