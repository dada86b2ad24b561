# What ./demo and ./test need before anything else can help: Rust and a C linker. Sourced, not run.

say() { printf '%s\n' "$*" >&2; }

need_rust() {
  if ! command -v cargo >/dev/null 2>&1; then
    # A fresh rustup tells new shells only.
    if [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
      PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
      export PATH
    else
      say 'This needs Rust. Install it as https://rustup.rs says, then run this again.'
      exit 1
    fi
  fi
}

# Runs as root, by whatever means need no question.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

need_linker() {
  command -v cc >/dev/null 2>&1 && return
  if [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; then
    if command -v apt-get >/dev/null 2>&1; then
      say 'Installing a C linker (gcc), which Rust links with.'
      as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq gcc libc6-dev >&2
    elif command -v dnf >/dev/null 2>&1; then
      as_root dnf install -y -q gcc >&2
    elif command -v apk >/dev/null 2>&1; then
      as_root apk add -q gcc musl-dev >&2
    fi
  fi
  command -v cc >/dev/null 2>&1 && return
  say 'This needs a C linker: install gcc (Debian, Ubuntu: sudo apt-get install gcc libc6-dev), then run this again.'
  exit 1
}

need_browser() {
  command -v chromedriver >/dev/null 2>&1 && return
  if command -v apt-get >/dev/null 2>&1 && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; then
    say 'Installing Chromium and its driver.'
    as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver >&2
  fi
  command -v chromedriver >/dev/null 2>&1 && return
  say 'This needs Chromium and chromedriver (Debian: sudo apt-get install chromium chromium-driver), then run this again.'
  exit 1
}

# Where it cannot be had, what needs it says that it is left out.
need_pooler() {
  command -v pgbouncer >/dev/null 2>&1 && return
  if command -v apt-get >/dev/null 2>&1 && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; then
    say 'Installing PgBouncer.'
    as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends pgbouncer >&2 || true
  fi
  command -v pgbouncer >/dev/null 2>&1 || say 'Left out: what is tested behind PgBouncer, which is not installed (Debian: sudo apt-get install pgbouncer).'
}
