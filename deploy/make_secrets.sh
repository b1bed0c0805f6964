#!/bin/sh
# Writes the secrets that compose.yaml names into deploy/secrets; those that are there stay.
set -eu
folder="$(dirname "$0")/secrets"
mkdir -p "$folder"
# Nobody else of this machine comes in; the users of the containers can read what they are given.
chmod 700 "$folder"

random() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

keep() {
    [ -e "$folder/$1" ] || printf %s "$2" >"$folder/$1"
    chmod 444 "$folder/$1"
}

keep database_password "$(random)"
keep attnlib_database_url "postgresql://attnlib:$(cat "$folder/database_password")@database/attnlib"
keep attnlib_cookie_secret "$(random)"
keep attnlib_metrics_token "$(random)"
keep attnlib_oidc_client_secret example
