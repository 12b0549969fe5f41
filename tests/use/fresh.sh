#!/usr/bin/env bash
# Runs `./run <command>` on a Debian 12 with nothing installed: a clean system in a folder, with this commit in it.
#   sudo tests/use/fresh.sh [test | demo | ...]
# Needs root, debootstrap and apt sources; takes packages from where this machine's apt does. No ctest entry.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

((EUID == 0)) || { echo "fresh.sh: as root: sudo $0" >&2; exit 1; }
system=$(mktemp -d)
clean_up() {
  umount "$system/proc" 2>/dev/null || true
  rm -rf --one-file-system "$system"
}
trap clean_up EXIT

# shellcheck disable=SC2016  # the words in the format are apt's
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
debootstrap --variant=minbase bookworm "$system" "$mirror" >"$system.log" || { tail "$system.log"; exit 1; }
rm -f "$system.log"
cp /etc/resolv.conf "$system/etc/"
mount -t proc proc "$system/proc"
mkdir "$system/flame"
git archive HEAD | tar -x -C "$system/flame"
# Nothing of this machine's environment: no compiler, no cache, no CUDA is found by its variables.
chroot "$system" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM="${TERM:-dumb}" \
  bash -c 'cd /flame && ./run "$@"' run "${@:-test}"
