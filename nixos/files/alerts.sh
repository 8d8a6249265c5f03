#!/usr/bin/env bash
# alerts.sh SETTINGS FOLDER: writes the alert rules of these settings to FOLDER/hlhft.rules.json, if promtool accepts them.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work HLHFT_CACHE=$work/cache

hlhft alerts --config "$1" --output "$work/rules" --target 127.0.0.1:1
promtool check rules "$work/rules/hlhft.rules.json"
mkdir -p "$2"
cp "$work/rules/hlhft.rules.json" "$2/"
