# run · test · check · bench: the only commands a newcomer needs.
#
# Everything is installed and built by these; `make deps` is the only part that
# needs root (or sudo), and does nothing when all is there.

CARGO ?= cargo
export CARGO_TARGET_DIR := $(CURDIR)/target

# Nginx's headers, configured as the distribution's binary was.
HEADERS := $(CARGO_TARGET_DIR)/nginx
export NGINX_SOURCE_DIR := $(HEADERS)
export NGINX_BUILD_DIR := $(HEADERS)/objs

# What is built tells nothing of the machine it was built on.
CARGO_HOME ?= $(HOME)/.cargo
export RUSTFLAGS := --remap-path-prefix=$(CARGO_HOME)=cargo --remap-path-prefix=$(CURDIR)=dynomesh

# For what works on every request in Nginx, optimised as a whole; it takes a minute more.
WHOLE := CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1

# Everything but the module. Always all of it: with another choice of packages Cargo
# chooses other features of what they share, and builds that again.
export PROGRAMS := --release --locked --workspace --exclude dynomesh-nginx

# What is used and installed is here: the programs, the module, the sample app.
DIST := $(CARGO_TARGET_DIR)/dist
MODULE_DIR := $(CARGO_TARGET_DIR)/module
VENDORED_DIR := $(CARGO_TARGET_DIR)/vendored

.PHONY: run test soak check bench build deps test-deps headers module programs vendored fmt clean conformance faulty

run: build
	@scripts/run

test: test-deps build vendored faulty
	@scripts/test

# The long tests of many hosts; DYNOMESH_OUTAGE_S=3600 for an hour without a broker.
soak: test-deps build
	@scripts/soak

check: test-deps headers
	@scripts/check

# BENCH_ARGS=--quick for less than a minute.
bench: test-deps build
	@scripts/bench $(BENCH_ARGS)

# ---------------------------------------------------------------------------

build: module programs

programs: deps
	$(CARGO) build $(PROGRAMS)
	@scripts/place $(DIST) $(addprefix $(CARGO_TARGET_DIR)/release/,meshd meshctl dyno-manager sample-dyno)

# In a folder of its own: what the programs need of shared crates would make the
# module larger.
module: headers
	$(WHOLE) $(CARGO) build --release --locked -p dynomesh-nginx --target-dir $(MODULE_DIR)
	@scripts/place $(DIST) $(MODULE_DIR)/release/libdynomesh_nginx.so

# The same with places where tests make it panic: only this crate is built anew.
faulty: headers
	$(WHOLE) $(CARGO) build --release --locked -p dynomesh-nginx --example faulty --target-dir $(MODULE_DIR)

# The same module for, and with, the newer Nginx whose source a crate bundles.
vendored: deps
	@scripts/vendored $(VENDORED_DIR)

headers: deps $(NGINX_BUILD_DIR)/ngx_auto_config.h

$(NGINX_BUILD_DIR)/ngx_auto_config.h: /usr/share/nginx/src/conf_flags
	@scripts/headers $(HEADERS)

/usr/share/nginx/src/conf_flags: deps

deps:
	@scripts/deps

# What only tests, checks and measurements need: a broker, a manager's language, a
# browser.
test-deps: deps
	@scripts/deps rabbitmq-server python3 chromium openssl

fmt:
	$(CARGO) fmt --all

# Nginx's own tests on proxying, with the module loaded. Give the folder of a
# checkout of them: make conformance NGINX_TESTS=../nginx-tests
conformance: build
	@scripts/conformance $(NGINX_TESTS)

clean:
	rm -rf $(CARGO_TARGET_DIR) .run
