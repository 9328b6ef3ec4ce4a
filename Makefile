# make install | demo | test | lint | docs | new-user | bench | endurance | interop
#      campaign | planning-campaign | fleet-campaign | teleop-campaign
# Only Python 3.10-3.13 and make are needed; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEED ?= 1
MINUTES ?= 60
ROS_SETUP ?= /opt/ros/jazzy/setup.bash

.PHONY: install demo test lint docs new-user bench endurance interop campaign planning-campaign fleet-campaign \
        teleop-campaign lock clean

# Folder of BARN's worlds, world_*.json or Gazebo's *.world; generated ones without.
WORLDS ?=

install: $(VENV)/.installed

# The stamp names the requirements it was made from, so an edit of either file reinstalls.
$(VENV)/.installed: requirements.txt pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

demo: install
	$(BIN)/edge-robot demo --seed $(SEED)

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --ignore test/demo
	$(BIN)/python -m pytest test/demo  # a whole stack in real time: it needs both cores

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check edge_robot test setup.py
	$(BIN)/ruff format --check edge_robot test setup.py
	$(BIN)/mypy

# The documentation site, which reads from the disk: build/site/index.html.
docs: $(VENV)/.installed-dev
	EDGE_ROBOT_RUNTIME=standalone $(BIN)/python docs/tables.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# All that quick start and tutorials tell a new user to type, typed: a fresh clone of what is committed
# and a fresh environment, and the demo. Minutes.
new-user: $(VENV)/.installed-dev
	EDGE_ROBOT_NEW_USER=1 $(BIN)/python -m pytest -rA test/docs/test_pages_as_typed.py

# Beside rclpy with rmw_cyclonedds where a ROS 2 is sourced in this shell.
bench: install
	$(BIN)/edge-robot bench all

# The runtime for an hour at full rate, with a thousand nodes that come and go, and with kill -9.
endurance: install
	mkdir -p runs/endurance
	for name in churn kill "soak --minutes $(MINUTES)"; do \
	  $(BIN)/edge-robot bench $$name --json "runs/endurance/$${name%% *}.json" || exit 1; \
	done

# The standalone runtime and a real ROS 2 (with rmw_cyclonedds_cpp), talking to each other.
interop: $(VENV)/.installed-dev
	EDGE_ROBOT_ROS_SETUP=$(ROS_SETUP) $(BIN)/python -m pytest test/interop

# Ten demos, ten warehouses; every one must reach its goal without touching anything.
campaign: install
	mkdir -p runs/campaign
	for seed in 1 2 3 4 5 6 7 8 9 10; do \
	  $(BIN)/edge-robot demo --headless --seed $$seed --report runs/campaign/$$seed \
	    --json runs/campaign/$$seed.json || exit 1; \
	done
	$(BIN)/python docs/campaign.py runs/campaign

# Planning and control at length, hours on two cores: BARN and crowds, 20 minutes of deadlines,
# faults of the running stack, and a thousand schedules of faults in virtual time.
planning-campaign: install
	mkdir -p runs/planning
	for setting in nominal disturbed severe; do \
	  $(BIN)/edge-robot bench barn $(if $(WORLDS),--worlds $(WORLDS) --only evaluation) \
	    --setting $$setting --json runs/planning/$$setting.json || exit 1; \
	done
	$(BIN)/edge-robot bench crowds --json runs/planning/crowds.json
	$(BIN)/edge-robot bench mppi --minutes 10 --load --json runs/planning/mppi.json
	$(BIN)/edge-robot bench e2e --json runs/planning/e2e.json
	$(BIN)/edge-robot bench faults --schedules 1000 --json runs/planning/faults.json

# The fleet bridge at length, an hour and a half on two cores: 500 faults and 10,000 lies beside other
# projects' policies, the backend under load, 1,000 kills and power losses of the spool, 10,000
# malformed requests, and what all of it costs the control path. Alone on the machine, as root for
# network namespaces.
fleet-campaign: $(VENV)/.installed-dev
	mkdir -p runs/fleet
	$(BIN)/edge-robot bench offload --chart runs/fleet/offload.svg --json runs/fleet/offload.json
	$(BIN)/edge-robot bench backend --seconds 3 --json runs/fleet/backend.json
	$(BIN)/edge-robot bench spool --json runs/fleet/spool.json
	EDGE_ROBOT_MALFORMED=10000 $(BIN)/python -m pytest test/fleet/test_malformed.py
	$(BIN)/edge-robot bench e2e --faults none --seconds 20 --fleet-pairs 6 --json runs/fleet/e2e.json

# The dashboard at length, an hour on two cores: seven thousand failures between an operator and the
# wheels, some of them in a real browser, and bad links, bad clients and rivals. Alone on the
# machine, as root for network namespaces.
teleop-campaign: $(VENV)/.installed-dev
	mkdir -p runs/teleop
	$(BIN)/edge-robot bench stop --json runs/teleop/stop.json
	$(BIN)/edge-robot bench stop --browser --trials 100 --json runs/teleop/stop-browser.json
	$(BIN)/edge-robot bench teleop --json runs/teleop/teleop.json

# Re-resolve the pinned sets for every supported Python (needs uv).
lock:
	uv pip compile --universal --python-version 3.10 --extra sim --extra fast pyproject.toml --no-annotate --no-header -o requirements.txt
	uv pip compile --universal --python-version 3.10 --extra sim --extra fast --extra test --extra lint --extra docs -c requirements.txt pyproject.toml --no-annotate --no-header -o requirements-dev.txt

clean:
	rm -rf $(VENV) build dist *.egg-info
