#!/usr/bin/env bash
# What must hold before a test is run: format, lints, documentation, licences and sources of dependencies.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { echo "check: $*" >&2; }

# cargo-deny, built once per machine. Without optimisation that takes half the time, and its work takes none.
deny() {
  local tools=${XDG_CACHE_HOME:-$HOME/.cache}/tidegate/tools
  PATH=$PATH:$tools/bin
  if ! command -v cargo-deny >/dev/null; then
    step "installing cargo-deny"
    CARGO_PROFILE_DEV_DEBUG=false CARGO_PROFILE_DEV_INCREMENTAL=false \
      cargo install --quiet --locked --debug --root "$tools" --version '^0.20' cargo-deny
  fi
  cargo-deny --log-level error check licenses bans sources
}

step format
cargo fmt --all --check
# A workspace of its own, and one file of its own style: no lints, which would build its 180 dependencies once more.
cargo fmt --check --manifest-path gateway/tests/rust-client/Cargo.toml
step lints
cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
step "fuzz targets"
cargo fmt --check --manifest-path core/fuzz/Cargo.toml
if cargo +nightly --version &>/dev/null; then
  CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/fuzz" cargo +nightly check --quiet --locked \
    --manifest-path core/fuzz/Cargo.toml --features libfuzzer --bins
fi
step documentation
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --workspace --no-deps
step dependencies
deny
# Counted, not timed: the same on every machine with these tools.
step instructions
./scripts/bench instructions >&2
