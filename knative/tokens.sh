#!/bin/sh
# Make the Secret `tokens`: a token of the order function and one of the operator, and the SHA-256 of
# each. order has its own token and the operator's hash, inventory has both hashes. Nothing but
# `make seed` reads the operator's token.
#
# Existing tokens stay; hashes are made again, so run this after you have changed a token. A hash
# without its token stays, too: operators may keep the token elsewhere.
#   NAMESPACE=shop sh knative/tokens.sh
set -eu
umask 077
namespace=${NAMESPACE:-shop}
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

sha256() {
	if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c1-64
}

# Of each token in a list that commas separate.
hashes() {
	tr ',' '\n' <"$1" | while read -r token || [ -n "$token" ]; do
		printf %s "$token" | sha256
	done | paste -sd, - | tr -d '\n'
}

# The key of the Secret, in a file; no file if there is none.
get() {
	kubectl -n "$namespace" get secret tokens --ignore-not-found \
		-o "go-template={{with index .data \"$1\"}}{{.|base64decode}}{{end}}" >"$made/$1"
	[ -s "$made/$1" ] || { rm "$made/$1" && false; }
}

for name in order operator; do
	if ! get "$name"; then
		if get "$name-sha256"; then continue; fi
		echo "Making up a token: $name in the Secret 'tokens'"
		od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$made/$name"
	fi
	hashes "$made/$name" >"$made/$name-sha256"
done

# No command line and no annotation holds a token: server-side apply keeps no copy of what it applied.
kubectl -n "$namespace" create secret generic tokens --from-file="$made" \
	--dry-run=client -o yaml | kubectl apply --server-side --force-conflicts -f -
