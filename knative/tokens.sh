#!/bin/sh
# Make the Secret `tokens`: a token of the order function, one of the operator and one of the service
# that confirms payments, and the SHA-256 of each. order has its own token and the other two hashes.
# inventory has the hashes of order and the operator. Only `make seed` reads the operator's token, and
# no pod of the shop reads that of the payment service.
#
# Existing tokens stay; hashes are made again, so run this after you have changed a token. A hash
# without its token stays, too: operators may keep the token elsewhere.
#   NAMESPACE=shop sh knative/tokens.sh
set -eu
umask 077
namespace=${NAMESPACE:-shop}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
secret=$work/secret keys=$work/keys
mkdir "$keys"

sha256() {
	if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c1-64
}

# The hash of each token in a list that is separated by commas.
hashes() {
	tr ',' '\n' <"$1" | while read -r token || [ -n "$token" ]; do
		printf %s "$token" | sha256
	done | paste -sd, - | tr -d '\n'
}

# Write a key of the Secret to a file of that name; no file if the key is missing or empty.
# `set -e` is off inside a condition, so call it outside of any and test for the file.
extract() {
	sed -n "s/^$1 //p" "$secret" | base64 --decode >"$keys/$1"
	[ -s "$keys/$1" ] || rm "$keys/$1"
}

# One line for each key, or nothing if there is no Secret. A failed read ends the script here:
# if it looked like a missing Secret, new tokens would replace those in use.
kubectl -n "$namespace" get secret tokens --ignore-not-found \
	-o 'go-template={{range $key, $value := .data}}{{$key}} {{$value}}{{"\n"}}{{end}}' >"$secret" || exit 1

for name in order operator payment; do
	extract "$name"
	if [ ! -e "$keys/$name" ]; then
		extract "$name-sha256"
		if [ -e "$keys/$name-sha256" ]; then continue; fi
		echo "Generating the token '$name' in the Secret 'tokens'"
		od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$keys/$name"
	fi
	hashes "$keys/$name" >"$keys/$name-sha256"
	grep -Eq '^[0-9a-f]{64}(,[0-9a-f]{64})*$' "$keys/$name-sha256" || {
		echo "Cannot compute the SHA-256 of the token '$name'; the Secret is unchanged" >&2
		exit 1
	}
done

# No command line and no annotation holds a token: server-side apply keeps no copy of its input.
kubectl -n "$namespace" create secret generic tokens --from-file="$keys" \
	--dry-run=client -o yaml | kubectl apply --server-side --force-conflicts -f -
