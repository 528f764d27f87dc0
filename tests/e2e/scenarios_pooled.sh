#!/bin/bash
# scenarios.sh with transaction pooling.
WORLDS=pooled exec bash "$(dirname "$0")/scenarios.sh" "$@"
