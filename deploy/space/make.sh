#!/bin/sh
# Fills the checkout of a Hugging Face Space with the app: deploy/space/make.sh ../my-space
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=$(cd "$1" && pwd)
cd "$here/../.."
git archive HEAD Dockerfile .dockerignore LICENSE requirements.txt deploy/requirements.lock \
    app.py .streamlit pages attnlib | tar -x -C "$target"
cp "$here/README.md" "$target/README.md"
# Its name and its proxies, which speak TLS for it; variables of the Space win over these.
sed -i '/^USER /i ENV ATTNLIB_ALLOWED_HOSTS=*.hf.space ATTNLIB_TRUSTED_PROXIES=10.0.0.0/8' \
    "$target/Dockerfile"
