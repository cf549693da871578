# Everything runs in an environment of its own, .venv, in which mango is installed as a user has it: from its wheel.
# The benchmarks have another, .venv-bench, and the trainings a third, .venv-train: packages that they use want an older
# numpy.
PYTHON ?= python3
VENV ?= .venv
DATA ?=
UNIT ?= output/cat
BENCHMARKS ?= overhead bbob protes ray service spiking tt_ablation stimuli

BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH := $(VENV)-bench
TRAIN := $(VENV)-train
ENVIRONMENTS := $(VENV) $(BENCH) $(TRAIN)
SOURCES := $(shell find mango -type f -not -name '*.pyc')

.DEFAULT_GOAL := help
.PHONY: help demo test check bench train

help:  ## show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.tools: INSTALLED := . --group dev
$(BENCH)/.tools: INSTALLED := ".[bench]"
$(TRAIN)/.tools: INSTALLED := ".[series,spikingjelly]"
$(ENVIRONMENTS:=/.tools): %/.tools: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "mango needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..."; exit 2; }
	@echo "making the environment $* (a few minutes, once)"
	@$(PYTHON) -m venv $*
	@$*/bin/pip install --quiet --upgrade "pip>=25.1"
	@$*/bin/pip install --quiet $(INSTALLED)
	@touch $@

$(ENVIRONMENTS:=/.ready): %/.ready: %/.tools $(SOURCES)
	@rm -rf build
	@$*/bin/pip install --quiet --no-deps --force-reinstall .
	@rm -rf build
	@touch $@

demo: $(READY)  ## find the image that excites a unit of a spiking network most (UNIT=output/cat)
	$(BIN)/mango search --generator vqvae-cifar10 --target snn-cifar10:$(UNIT) --optimizer auto \
		--budget 2000 --batch 20 --seed 0 --workers 2 --out runs/demo-$$(date +%Y%m%d-%H%M%S)

test: $(READY)  ## run the tests against the installed wheel (ARGS="-m 'not slow'" for the fast ones)
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(ARGS)

check: $(READY)  ## ruff, mypy, the layers, the dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

bench: $(BENCH)/.ready  ## measure everything beside its peers (ARGS=--smoke for a quick look, BENCHMARKS="bbob ray" for some)
	@set -e; for name in $(BENCHMARKS); do \
		echo "$$name"; $(BENCH)/bin/python -m experiments.benchmarks.$$name $(ARGS); done

train: $(TRAIN)/.ready  ## train the networks of the zoo anew, from CIFAR-10: make train DATA=folder (hours on a CPU)
	@test -n "$(DATA)" || { echo "name the folder that holds CIFAR-10: make train DATA=folder"; exit 2; }
	$(TRAIN)/bin/python -m experiments.train.series --name trace --out runs/train/series-trace
	$(TRAIN)/bin/python -m experiments.train.series --name gunpoint --out runs/train/series-gunpoint
	$(TRAIN)/bin/python -m experiments.train.vqvae --data $(DATA) --out runs/train/vqvae
	$(TRAIN)/bin/python -m experiments.train.sngan --data $(DATA) --out runs/train/sngan
	$(TRAIN)/bin/python -m experiments.train.dgn --data $(DATA) --out runs/train/dgn
	$(TRAIN)/bin/python -m experiments.train.vqvae_prior --data $(DATA) --out runs/train/vqvae-prior
	$(TRAIN)/bin/python -m experiments.train.spiking --data $(DATA) --out runs/train/snn
	$(TRAIN)/bin/python -m experiments.train.spiking_t128 --data $(DATA) --out runs/train/snn-t128
	$(TRAIN)/bin/python -m experiments.train.spiking_resnet --data $(DATA) --out runs/train/snn-resnet
	$(TRAIN)/bin/python -m experiments.train.classifier --network resnet18 --data $(DATA) --out runs/train/resnet18
	$(TRAIN)/bin/python -m experiments.train.classifier --network vgg --data $(DATA) --out runs/train/vgg
	$(TRAIN)/bin/python -m experiments.train.classifier --network vit --data $(DATA) --out runs/train/vit
